// SPDX-License-Identifier: MIT
#include "site.hpp"

#include <cctype>
#include <cstring>

namespace weft::explore {

std::string_view order_name(std::memory_order order) {
  switch (order) {
  case std::memory_order_relaxed:
    return "relaxed";
  case std::memory_order_consume:
    return "consume";
  case std::memory_order_acquire:
    return "acquire";
  case std::memory_order_release:
    return "release";
  case std::memory_order_acq_rel:
    return "acq_rel";
  case std::memory_order_seq_cst:
    return "seq_cst";
  }
  return "?";
}

// "bool ns::deque<T>::push(T*) [with T = int]" -> "push"
std::string_view function_name(const std::source_location& where) {
  std::string_view name = where.function_name();
  name = name.substr(0, name.find(" ["));
  std::size_t end = name.rfind(')');
  if (end == std::string_view::npos) return name;
  for (int depth = 0; end != 0; --end) {
    depth += name[end] == ')' ? 1 : name[end] == '(' ? -1 : 0;
    if (depth == 0) break;
  }
  std::size_t begin = end;
  while (begin != 0 && (std::isalnum(static_cast<unsigned char>(name[begin - 1])) != 0 ||
                        name[begin - 1] == '_' || name[begin - 1] == '~')) {
    --begin;
  }
  return name.substr(begin, end - begin);
}

bool same_place(const std::source_location& a, const std::source_location& b) {
  return a.line() == b.line() && a.column() == b.column() &&
         std::strcmp(a.file_name(), b.file_name()) == 0;
}

std::string site::name() const {
  const char* const kinds[] = {"load", "store", "rmw"};
  return std::string(function_name(where)) + " " + kinds[static_cast<unsigned>(what)] + " " +
         std::string(order_name(order)) + " #" + std::to_string(nth);
}

std::string mutation::name() const { return at.name() + " -> " + std::string(order_name(order)); }

std::vector<mutation> weakenings(const std::vector<site>& sites) {
  constexpr std::memory_order strongest_first[] = {
      std::memory_order_acq_rel, std::memory_order_acquire, std::memory_order_release,
      std::memory_order_relaxed};
  const auto rank = [](std::memory_order o) {
    return o == std::memory_order_seq_cst   ? 3
           : o == std::memory_order_acq_rel ? 2
           : o == std::memory_order_relaxed ? 0
                                            : 1;
  };
  std::vector<mutation> all;
  for (const site& s : sites) {
    for (const std::memory_order weaker : strongest_first) {
      if (rank(weaker) >= rank(s.order)) continue;
      if (s.what == access::load &&
          (weaker == std::memory_order_acq_rel || weaker == std::memory_order_release)) {
        continue;
      }
      if (s.what == access::store &&
          (weaker == std::memory_order_acq_rel || weaker == std::memory_order_acquire)) {
        continue;
      }
      all.push_back({s, weaker});
    }
  }
  return all;
}

}  // namespace weft::explore
