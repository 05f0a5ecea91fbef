#include <string>

#include <doctest/doctest.h>

#include "sip/status.hpp"

using namespace offhook::sip;
using offhook::Errc;

TEST_SUITE("sip status") {
    TEST_CASE("exit codes are those of the command line's table") {
        struct Row {
            unsigned status;
            int call, registration, after_credentials;
        };
        for (const auto &row : {
                 Row{200, 0, 0, 0},    Row{202, 0, 0, 0},    Row{486, 10, 10, 10},      Row{600, 10, 10, 10},
                 Row{408, 11, 11, 11}, Row{480, 11, 11, 11}, Row{487, 11, 11, 11},      Row{603, 12, 12, 12},
                 Row{403, 12, 14, 14}, Row{404, 13, 13, 13}, Row{410, 13, 13, 13},      Row{484, 13, 13, 13},
                 Row{604, 13, 13, 13}, Row{401, 14, 14, 14}, Row{407, 14, 14, 14},      Row{400, 15, 15, 15},
                 Row{405, 15, 15, 15}, Row{415, 15, 15, 15}, Row{420, 15, 15, 15},      Row{482, 15, 15, 15},
                 Row{499, 15, 15, 15}, Row{500, 16, 16, 16}, Row{503, 16, 16, 16},      Row{599, 16, 16, 16},
                 Row{606, 17, 17, 17}, Row{607, 17, 17, 17}, Row{699, 17, 17, 17},      Row{300, 18, 18, 18},
                 Row{302, 18, 18, 18}, Row{380, 18, 18, 18}, Row{488, 30, 30, 30},      Row{0, 1, 1, 1},
                 Row{180, 1, 1, 1},    Row{700, 1, 1, 1},    Row{4294967295U, 1, 1, 1},
             }) {
            CAPTURE(row.status);
            CHECK(exit_code(row.status, Purpose::call) == row.call);
            CHECK(exit_code(row.status, Purpose::other) == row.call);
            CHECK(exit_code(row.status, Purpose::register_) == row.registration);
            CHECK(exit_code(row.status, Purpose::call, true) == row.after_credentials);
        }
    }

    TEST_CASE("errors of ours have exit codes too") {
        struct Row {
            Errc code;
            int exit;
        };
        for (const auto &row :
             {Row{Errc::internal, 1}, Row{Errc::invalid_argument, 2}, Row{Errc::config, 2},
              Row{Errc::parse, 20}, Row{Errc::network, 20}, Row{Errc::tls, 21}, Row{Errc::timeout, 20},
              Row{Errc::rejected, 15}, Row{Errc::authentication, 14}, Row{Errc::media, 30},
              Row{Errc::device, 31}, Row{Errc::not_found, 2}, Row{Errc::not_supported, 2},
              Row{Errc::expectation, 40}})
            CHECK(exit_code(offhook::Error{row.code, "x", 0}) == row.exit);
        CHECK(exit_code(offhook::Error{Errc::rejected, "x", 486}) == 10);
        CHECK(exit_code(offhook::Error{Errc::rejected, "x", 403}) == 12);
        CHECK(exit_code(offhook::Error{Errc::rejected, "x", 403}, Purpose::register_) == 14);
        CHECK(exit_code(offhook::Error{Errc::authentication, "x", 403}) == 14);
    }

    TEST_CASE("every status has a phrase and a sentence, unknown ones those of their class") {
        CHECK(reason_phrase(486) == "Busy Here");
        CHECK(explain(486) == "the callee is busy");
        CHECK(reason_phrase(200) == "OK");
        CHECK(reason_phrase(299) == reason_phrase(200));
        CHECK(reason_phrase(477) == "Request Failure");
        CHECK(reason_phrase(0) == "Unknown");
        for (unsigned status = 0; status < 1000; ++status) {
            CHECK_FALSE(reason_phrase(status).empty());
            CHECK_FALSE(explain(status).empty());
            CHECK_FALSE(explain(status).ends_with('.'));
        }
        // The order of the table is what look-ups rely on: each known one is found.
        for (const auto &[status, phrase] :
             {std::pair{100U, "Trying"}, std::pair{183U, "Session Progress"}, std::pair{305U, "Use Proxy"},
              std::pair{423U, "Interval Too Brief"}, std::pair{481U, "Call/Transaction Does Not Exist"},
              std::pair{555U, "Push Notification Service Not Supported"}, std::pair{608U, "Rejected"}})
            CHECK(reason_phrase(status) == phrase);
    }
}
