// SPDX-License-Identifier: MIT
#pragma once
// Text as the trace writers need it: escaped for XML and JSON, names, durations and
// colours for people.
//
// Names come from compilers, file systems and users, so nothing is assumed of them: what is not
// valid UTF-8 or not allowed in the target format becomes U+FFFD, and the files stay readable.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::detail {

/// Appends `text` as it must stand in XML character data or in an attribute between double quotes.
void append_xml(std::string& out, std::string_view text);

/// Appends `text` as it must stand between the quotes of a JSON string.
void append_json(std::string& out, std::string_view text);

/// "1.24 s", "20.1 ms", "317 µs", "42 ns": three digits are what a reader can use.
std::string duration_text(std::int64_t ns);

/// The function's qualified name out of what std::source_location calls it inside a coroutine,
/// where g++ names the actor function behind it: "weft::task<> fetch(int)" and "void
/// fetch(fetch(int)::…Frame*)" are both "fetch"; a lambda is "lambda in main". Text of another
/// shape is returned as it is.
std::string short_function_name(std::string_view pretty);

/// At most `limit` code points of `text`, the last one an ellipsis when some were cut off.
std::string shortened(std::string_view text, std::size_t limit);

/// `text` broken at spaces into lines of at most `limit` code points (more for a longer word).
std::vector<std::string> wrapped(std::string_view text, std::size_t limit);

/// "#rrggbb", a colour a task: hues a golden ratio apart differ most between neighbours, and equal
/// OKLCH lightness makes all of them readable on light and on dark.
std::string task_colour(std::uint64_t task);

}  // namespace weft::detail
