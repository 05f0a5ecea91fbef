#include "base/text.hpp"
#include "cmd/commands.hpp"
#include "cmd/input.hpp"
#include "cmd/session.hpp"

namespace offhook::cmd {

namespace {

bool is_utf8_text(const std::string &text) {
    return text.find('\0') == std::string::npos && is_utf8(text);
}

Result<std::string> text_of(const MessageOptions &options, std::optional<Duration> patience) {
    if (options.text && *options.text != "-") return *options.text;
    auto text = read_input("-", Phone::message_limit + 1, patience);
    if (text && text->ends_with('\n')) text->pop_back(); // what `echo` adds
    return text;
}

} // namespace

Result<int> run(const GlobalOptions &global, const MessageOptions &options) {
    if (options.target.empty())
        return fail(Errc::invalid_argument, "message: to whom? (expected message TARGET [TEXT|-])");
    Output output(global);
    auto setup = prepare(global);
    if (!setup) return tl::unexpected(setup.error());
    const auto text = text_of(options, global.timeout);
    if (!text) return input_failed(output, text.error());
    if (!is_utf8_text(*text))
        return fail(Errc::invalid_argument, "message: the text is not UTF-8 (expected text/plain)");
    setup->phone.audio = "none";
    const std::string account = setup->account;
    auto session = Session::open(global, std::move(*setup), output);
    if (!session) return tl::unexpected(session.error());
    auto &running = **session;
    Json facts = Json::object().add("target", options.target);
    const auto watching = running.phone().events().add([&](const Event &event) {
        const auto *sent = std::get_if<event::MessageSent>(&event);
        if (sent == nullptr) return;
        facts.add("code", sent->code).add("reason", sent->reason);
        running.finish(sent->exit);
    });
    if (auto begun = running.phone().send_message(options.target, *text, account); !begun)
        running.finish(begun.error(), sip::Purpose::other);
    const int exit = running.run();
    if (!running.error().empty()) facts.add("error", running.error());
    output.result(exit, facts);
    return exit;
}

} // namespace offhook::cmd
