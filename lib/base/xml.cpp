#include "base/xml.hpp"

#include <memory>

#include <expat.h>

namespace offhook {

namespace {

constexpr std::size_t most_bytes = 65536, most_levels = 16, most_elements = 2000, most_attributes = 32;
constexpr char separator = '\n'; // between namespace and name; cannot stand in either

// "line 3, column 7". The old names warn since 2.9, which has others.
std::string place(XML_Parser parser) {
#if XML_MAJOR_VERSION * 100 + XML_MINOR_VERSION >= 209
    const auto line = XML_GetCurrentLineNumber64(parser);
    const auto column = XML_GetCurrentColumnNumber64(parser);
#else
    const auto line = XML_GetCurrentLineNumber(parser);
    const auto column = XML_GetCurrentColumnNumber(parser);
#endif
    return "line " + std::to_string(line) + ", column " + std::to_string(column + 1);
}

std::string local_name(const char *name) {
    const std::string_view whole(name);
    const auto at = whole.rfind(separator);
    return std::string(at == std::string_view::npos ? whole : whole.substr(at + 1));
}

std::string trimmed(const std::string &text) {
    constexpr const char *space = " \t\r\n";
    const auto first = text.find_first_not_of(space);
    if (first == std::string::npos) return "";
    return text.substr(first, text.find_last_not_of(space) - first + 1);
}

// Takes expat's calls; nothing is thrown through it.
class Builder {
public:
    explicit Builder(XML_Parser parser) : parser_(parser) {
        XML_SetUserData(parser, this);
        XML_SetElementHandler(
            parser,
            [](void *self, const XML_Char *name, const XML_Char **attributes) {
                static_cast<Builder *>(self)->start(name, attributes);
            },
            [](void *self, const XML_Char *) { static_cast<Builder *>(self)->end(); });
        XML_SetCharacterDataHandler(parser, [](void *self, const XML_Char *text, int size) {
            static_cast<Builder *>(self)->characters({text, static_cast<std::size_t>(size)});
        });
        XML_SetStartDoctypeDeclHandler(
            parser, [](void *self, const XML_Char *, const XML_Char *, const XML_Char *, int) {
                static_cast<Builder *>(self)->stop("a DOCTYPE, which is not allowed");
            });
    }

    [[nodiscard]] const char *complaint() const noexcept { return complaint_; }
    [[nodiscard]] XmlElement &root() noexcept { return root_; }

private:
    void stop(const char *why) {
        complaint_ = why;
        XML_StopParser(parser_, XML_FALSE);
    }

    void start(const XML_Char *name, const XML_Char **attributes) {
        if (open_.size() >= most_levels) return stop("elements too deep");
        if (++elements_ > most_elements) return stop("too many elements");
        XmlElement element;
        element.name = local_name(name);
        for (; attributes[0] != nullptr; attributes += 2) {
            if (element.attributes.size() >= most_attributes) return stop("too many attributes");
            element.attributes.emplace_back(local_name(attributes[0]), attributes[1]);
        }
        open_.push_back(std::move(element));
    }

    void end() {
        if (open_.empty()) return;
        XmlElement done = std::move(open_.back());
        open_.pop_back();
        done.text = trimmed(done.text);
        if (open_.empty())
            root_ = std::move(done);
        else
            open_.back().children.push_back(std::move(done));
    }

    void characters(std::string_view text) {
        if (!open_.empty()) open_.back().text += text;
    }

    XML_Parser parser_;
    std::vector<XmlElement> open_;
    XmlElement root_;
    std::size_t elements_ = 0;
    const char *complaint_ = nullptr;
};

} // namespace

const XmlElement *XmlElement::find(std::string_view child) const noexcept {
    for (const auto &element : children)
        if (element.name == child) return &element;
    return nullptr;
}

std::vector<const XmlElement *> XmlElement::all(std::string_view child) const {
    std::vector<const XmlElement *> out;
    for (const auto &element : children)
        if (element.name == child) out.push_back(&element);
    return out;
}

std::string XmlElement::attribute(std::string_view key) const {
    for (const auto &[name_, value] : attributes)
        if (name_ == key) return value;
    return "";
}

std::string XmlElement::text_of(std::string_view child) const {
    const auto *element = find(child);
    return element == nullptr ? "" : element->text;
}

Result<XmlElement> parse_xml(std::string_view text) {
    if (text.size() > most_bytes) return fail(Errc::parse, "XML: more than 64 KiB");
    const std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)> parser(
        XML_ParserCreateNS(nullptr, separator), &XML_ParserFree);
    if (!parser) return fail(Errc::internal, "XML: no memory");
    Builder builder(parser.get());
    if (XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE) == XML_STATUS_OK)
        return std::move(builder.root());
    const char *why = builder.complaint() != nullptr ? builder.complaint()
                                                     : XML_ErrorString(XML_GetErrorCode(parser.get()));
    return fail(Errc::parse, "XML: " + std::string(why) + " in " + place(parser.get()));
}

} // namespace offhook
