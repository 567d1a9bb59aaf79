// Failure class: what people compare, what is dialled and what is warned of are not the same host and port.
#include "federation/membership/endpoint.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "node/io/reachability.h"

namespace fovea::federation::membership {
namespace {

TEST(EndpointTest, AHostAndAPortAreReadAndWrittenInOneSpelling) {
  struct Case {
    std::string text, host;
    std::uint16_t port;
  };
  const std::string longest = std::string(63, 'a') + "." + std::string(63, 'b');
  for (const Case& c : {Case{"tcp://127.0.0.1:1", "127.0.0.1", 1}, Case{"tcp://0.0.0.0:7443", "0.0.0.0", 7443},
                        Case{"tcp://fed-1.example.org:65535", "fed-1.example.org", 65'535},
                        Case{"tcp://example.org.:7443", "example.org.", 7443}, Case{"tcp://h_1:80", "h_1", 80},
                        Case{"tcp://7even:80", "7even", 80}, Case{"tcp://" + longest + ":80", longest, 80},
                        Case{"tcp://[::1]:7443", "::1", 7443}, Case{"tcp://[::]:7443", "::", 7443},
                        Case{"tcp://[2001:db8::1]:7443", "2001:db8::1", 7443},
                        Case{"tcp://[1:2:3:4:5:6:7:8]:7443", "1:2:3:4:5:6:7:8", 7443},
                        Case{"tcp://[::ffff:10.0.0.5]:7443", "::ffff:10.0.0.5", 7443},
                        Case{"tcp://[fe80::1%eth0]:7443", "fe80::1%eth0", 7443}}) {
    const auto read = Endpoint::parse(c.text);
    ASSERT_TRUE(read.has_value()) << c.text << ": " << read.error().message;
    EXPECT_EQ(*read, (Endpoint{c.host, c.port})) << c.text;
    EXPECT_EQ(read->text(), c.text);
  }
}

TEST(EndpointTest, NothingElseIsAnEndpoint) {
  using std::string;
  const std::vector<string> bad = {
      "", "tcp", "tcp:", "tcp:/", "tcp://", "tcp://:7443", "tcp://host", "tcp://host:", "host:7443", "ipc://x:1",
      "TCP://host:1", " tcp://host:1",
      // ports
      "tcp://host:0", "tcp://host:65536", "tcp://host:99999999999999999999", "tcp://host:07443", "tcp://host:+1",
      "tcp://host:-1", "tcp://host:7 ", "tcp://host: 7", "tcp://host:0x50", "tcp://host:80.0", "tcp://host:80/",
      string("tcp://host:80\0", 14), "tcp://host:http",
      // hosts
      "tcp://*:7443", "tcp://a b:1", "tcp://a;b:1", "tcp://user@host:1", "tcp://host/path:1", "tcp://tcp://host:1",
      "tcp://host:1:2", "tcp://.host:1", "tcp://a..b:1", "tcp://.:1", "tcp://-a:1", string("tcp://a\0b:1", 11),
      "tcp://h:1\nfederation fingerprint 0000", "tcp://\x1b[8m:1", "tcp://\xe2\x80\xaeh:1", "tcp://h%1:1",
      "tcp://" + string(64, 'a') + ":1",
      "tcp://" + string(127, 'a').replace(63, 1, ".") + "." + string(63, 'b') + "." + string(63, 'c') + ":1",
      // addresses that only some resolvers read, each in its own way
      "tcp://127.1:1", "tcp://256.0.0.1:1", "tcp://1.2.3.4.5:1", "tcp://01.2.3.4:1", "tcp://2130706433:1",
      "tcp://0x7f.0.0.1:1", "tcp://0x7f000001:1", "tcp://a.0x:1",
      // IPv6
      "tcp://::1:7443", "tcp://[::1:7443", "tcp://::1]:7443", "tcp://[[::1]]:1", "tcp://[::1]7443", "tcp://[]:1",
      "tcp://[host]:1", "tcp://[127.0.0.1]:1", "tcp://[1:2:3:4:5:6:7]:1", "tcp://[1:2:3:4:5:6:7:8:9]:1",
      "tcp://[1::2::3]:1", "tcp://[:::1]:1", "tcp://[1:]:1", "tcp://[12345::]:1", "tcp://[::g]:1",
      "tcp://[1.2.3.4::]:1", "tcp://[1:2:3:4:5:6:7::8]:1", "tcp://[fe80::1%]:1", "tcp://[fe80::1%a b]:1",
      "tcp://[fe80::1%sixteen-letters-]:1"};
  for (const string& text : bad) {
    const auto read = Endpoint::parse(text);
    ASSERT_FALSE(read.has_value()) << text << ": " << read->text();
    EXPECT_EQ(read.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(read.error().message.find("tcp://host:port"), string::npos) << read.error().message;
    for (const char character : read.error().message) EXPECT_GE(static_cast<unsigned char>(character), 0x20U) << text;
  }
}

TEST(EndpointTest, AHostInSettingsHasNeitherSchemeNorPort) {
  EXPECT_EQ(read_host("[::1]").value(), "::1");
  EXPECT_EQ(read_host("::1").value(), "::1");
  EXPECT_EQ(read_host("127.0.0.1").value(), "127.0.0.1");
  EXPECT_EQ(read_host("tunnel").value(), "tunnel");
  for (const char* bad : {"", "tcp://tunnel", "tunnel:7443", "[tunnel]", "a b", "*", "[::1]:7443"})
    EXPECT_FALSE(read_host(bad).has_value()) << bad;
}

TEST(EndpointTest, SettingsTakeThePlaceOfTheInvitesHostAndPort) {
  Invite invite;
  const auto dialled = [&](const std::string& invited, const std::string& settings) {
    invite.endpoint = invited;
    const auto config = node::io::NodeConfig::parse(
        "[site]\nid = \"anna\"\n[policy]\ncolluders_max = 1\nhonest_min = 2\ncohort_min = 3\nmodalities = [\"MR\"]\n"
        "weights = [\"equal\"]\nrounds_max = 10\nrun_megabytes_max = 100\n[coordinator]\n" +
            settings,
        "node.toml");
    EXPECT_TRUE(config.has_value()) << config.error().message;
    const auto endpoint = node::io::coordinator_endpoint(*config, invite);
    return endpoint ? endpoint->text() : endpoint.error().message;
  };
  EXPECT_EQ(dialled("tcp://fed.example.org:7443", ""), "tcp://fed.example.org:7443");
  EXPECT_EQ(dialled("tcp://[2001:db8::1]:7443", ""), "tcp://[2001:db8::1]:7443");
  EXPECT_EQ(dialled("tcp://[2001:db8::1]:7443", "port = 9000\n"), "tcp://[2001:db8::1]:9000");
  for (const char* host : {"host = \"::1\"\n", "host = \"[::1]\"\n"})
    EXPECT_EQ(dialled("tcp://fed.example.org:7443", host), "tcp://[::1]:7443");
}

}  // namespace
}  // namespace fovea::federation::membership
