// g++ 12 at -O2 takes the other alternatives of a moved std::variant for read.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include "bridge/bencode.hpp"

#include <charconv>

namespace offhook::bridge {

namespace {

constexpr int deepest = 16;

class Reader {
public:
    explicit Reader(std::string_view text) : text_(text) {}
    Result<Bencode> value(int depth);
    [[nodiscard]] bool done() const { return text_.empty(); }

private:
    static Failure broken() { return fail(Errc::parse, "malformed bencoding"); }
    Result<Bencode> list(int depth);
    Result<Bencode> dict(int depth);
    bool take(char c) {
        if (text_.empty() || text_.front() != c) return false;
        text_.remove_prefix(1);
        return true;
    }
    Result<std::int64_t> number(char end) {
        std::int64_t out = 0;
        const auto [at, error] = std::from_chars(text_.data(), text_.data() + text_.size(), out);
        if (error != std::errc() || at == text_.data() + text_.size() || *at != end) return broken();
        text_.remove_prefix(static_cast<std::size_t>(at - text_.data()) + 1);
        return out;
    }
    Result<std::string> string() {
        const auto size = number(':');
        if (!size || *size < 0 || static_cast<std::uint64_t>(*size) > text_.size()) return broken();
        std::string out(text_.substr(0, static_cast<std::size_t>(*size)));
        text_.remove_prefix(out.size());
        return out;
    }

    std::string_view text_;
};

Result<Bencode> Reader::value(int depth) {
    if (text_.empty() || depth > deepest) return broken();
    if (take('i')) {
        auto out = number('e');
        if (!out) return tl::unexpected(out.error());
        return Bencode(*out);
    }
    if (take('l')) return list(depth + 1);
    if (take('d')) return dict(depth + 1);
    auto out = string();
    if (!out) return tl::unexpected(out.error());
    return Bencode(std::move(*out));
}

Result<Bencode> Reader::list(int depth) {
    Bencode::List out;
    while (!take('e')) {
        auto item = value(depth);
        if (!item) return item;
        out.push_back(std::move(*item));
    }
    return Bencode(std::move(out));
}

Result<Bencode> Reader::dict(int depth) {
    Bencode::Dict out;
    while (!take('e')) {
        auto key = string();
        if (!key) return tl::unexpected(key.error());
        auto item = value(depth);
        if (!item) return item;
        out.insert_or_assign(std::move(*key), std::move(*item));
    }
    return Bencode(std::move(out));
}

void put(std::string &out, const std::string &text) {
    out += std::to_string(text.size()) + ":" + text;
}

void put(std::string &out, const Bencode &item) {
    if (const auto *text = std::get_if<std::string>(&item.value)) return put(out, *text);
    if (const auto *number = std::get_if<std::int64_t>(&item.value)) {
        out += "i" + std::to_string(*number) + "e";
        return;
    }
    if (const auto *list = std::get_if<Bencode::List>(&item.value)) {
        out += 'l';
        for (const auto &one : *list)
            put(out, one);
    } else if (const auto *dict = std::get_if<Bencode::Dict>(&item.value)) {
        out += 'd';
        for (const auto &[key, one] : *dict) {
            put(out, key);
            put(out, one);
        }
    }
    out += 'e';
}

} // namespace

std::string Bencode::encode() const {
    std::string out;
    put(out, *this);
    return out;
}

Result<Bencode> Bencode::parse(std::string_view text) {
    Reader reader(text);
    auto out = reader.value(0);
    if (out && !reader.done()) return fail(Errc::parse, "malformed bencoding: something follows");
    return out;
}

const Bencode *Bencode::find(const std::string &key) const {
    const auto *dict = std::get_if<Dict>(&value);
    if (dict == nullptr) return nullptr;
    const auto found = dict->find(key);
    return found == dict->end() ? nullptr : &found->second;
}

std::string Bencode::text(const std::string &key) const {
    const Bencode *found = find(key);
    const auto *out = found == nullptr ? nullptr : std::get_if<std::string>(&found->value);
    return out == nullptr ? std::string() : *out;
}

} // namespace offhook::bridge
