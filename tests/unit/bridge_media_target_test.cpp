#include <doctest/doctest.h>

#include "bridge/relay.hpp"

using namespace offhook;
using namespace offhook::bridge;

TEST_SUITE("bridge media target") {
    TEST_CASE("a phone's description sends media neither to groups nor to this host's services") {
        struct Row {
            const char *described, *signalling;
            bool fit;
        };
        for (const Row &row : {Row{"192.0.2.50", "192.0.2.50", true},
                               {"198.51.100.7", "192.0.2.50", true}, // a media server beside it
                               {"2001:db8::7", "192.0.2.50", true},
                               {"0.0.0.0", "192.0.2.50", false},
                               {"::", "192.0.2.50", false},
                               {"224.0.0.1", "192.0.2.50", false},
                               {"239.1.2.3", "192.0.2.50", false},
                               {"255.255.255.255", "192.0.2.50", false},
                               {"ff02::1", "2001:db8::7", false},
                               {"127.0.0.1", "192.0.2.50", false},
                               {"127.8.8.8", "192.0.2.50", false},
                               {"::1", "2001:db8::7", false},
                               {"127.0.0.1", "127.0.0.1", true},
                               {"127.0.0.1", "::1", true}})
            CHECK_MESSAGE(fit_for_media(Address::parse(row.described, 4000).value(),
                                        Address::parse(row.signalling, 5060).value()) == row.fit,
                          row.described << " by " << row.signalling);
        CHECK_FALSE(fit_for_media({}, {}));
        CHECK(fit_for_media(Address::parse("127.0.0.1", 4000).value(), {}));
    }
}
