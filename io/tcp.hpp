// SPDX-License-Identifier: MIT
#pragma once
// TCP: connections, and where they arrive. What a server does with them is serve.hpp's.

#include "weft/io/address.hpp"
#include "weft/io/tcp_listener.hpp"
#include "weft/io/tcp_stream.hpp"
