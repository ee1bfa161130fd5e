// SPDX-License-Identifier: MIT
#include "weft/io/address.hpp"

#include <doctest/doctest.h>

#include <ostream>
#include <string>
#include <system_error>

#include <netinet/in.h>

namespace address_test {

using weft::endpoint;

TEST_SUITE("io/address") {
  TEST_CASE("an endpoint prints the text that it was made from") {
    for (const char* text : {"127.0.0.1:8080", "0.0.0.0:0", "255.255.255.255:65535", "[::1]:80",
                             "[::]:0", "[fe80::1%2]:443", "[2001:db8::ff00:42:8329]:53"}) {
      CAPTURE(text);
      CHECK(endpoint(text).to_string() == text);
    }
    CHECK(endpoint("[0:0:0:0:0:0:0:1]:1").to_string() == "[::1]:1");
    CHECK(endpoint().to_string() == "0.0.0.0:0");
  }

  TEST_CASE("what is no address and port is refused with a message that quotes it") {
    for (const std::string text : {"",
                                   ":",
                                   "127.0.0.1",
                                   "127.0.0.1:",
                                   "127.0.0.1:65536",
                                   "127.0.0.1:-1",
                                   "127.0.0.1:+1",
                                   "127.0.0.1: 80",
                                   "127.0.0.1:80x",
                                   "localhost:80",
                                   "::1:80",
                                   "[::1]",
                                   "[::1]:",
                                   "[::1:80",
                                   "[::1]80",
                                   "[]:80",
                                   "[127.0.0.1]:80",
                                   "[fe80::1%eth0]:80",
                                   "[fe80::1%]:80",
                                   "1.2.3:80",
                                   "1.2.3.4.5:80",
                                   "[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa]:1"}) {
      CAPTURE(text);
      try {
        const endpoint e(text);
        FAIL(e.to_string());
      } catch (const std::system_error& e) {
        CHECK(e.code() == std::errc::invalid_argument);
        CHECK(std::string(e.what()).find('"' + text + '"') != std::string::npos);
      }
    }
    CHECK_THROWS_AS(endpoint(std::string("127.0.0.1\0:80", 13)), std::system_error);
  }

  TEST_CASE("endpoints are equal when family, address, port and interface are") {
    CHECK(endpoint("127.0.0.1:1") == endpoint("127.0.0.1:1"));
    CHECK(endpoint("127.0.0.1:1") != endpoint("127.0.0.1:2"));
    CHECK(endpoint("0.0.0.0:1") != endpoint("[::]:1"));
    CHECK(endpoint("[fe80::1%1]:1") != endpoint("[fe80::1%2]:1"));
  }

  TEST_CASE("the port can be read and changed in both families") {
    for (const char* text : {"10.1.2.3:80", "[::1]:80"}) {
      endpoint e(text);
      CHECK(e.port() == 80);
      e.set_port(8081);
      CHECK(e.port() == 8081);
    }
    CHECK(endpoint("10.1.2.3:80").address() == "10.1.2.3");
    CHECK(endpoint("[::1]:80").address() == "::1");
  }

  TEST_CASE("an endpoint goes to the kernel's form and back") {
    for (const char* text : {"10.1.2.3:80", "[fe80::1%3]:80"}) {
      const endpoint e(text);
      CHECK(endpoint::from_native(*e.native(), e.native_size()) == e);
    }
    const endpoint e("[::1]:80");
    CHECK_THROWS_AS(endpoint::from_native(*e.native(), sizeof(sockaddr_in)), std::system_error);
    const sockaddr other{.sa_family = AF_UNIX, .sa_data = {}};
    CHECK_THROWS_AS(endpoint::from_native(other, sizeof other), std::system_error);
  }
}

}  // namespace address_test
