// SPDX-License-Identifier: MIT
#include "weft/io/detail/doctor_text.hpp"

#include "weft/config.hpp"
#include "weft/io/detail/diagnosis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <string_view>

namespace weft::detail {

namespace {

constexpr std::size_t columns_max = 100;
constexpr std::size_t label_columns = 16;

/// A table of two columns, the right one broken between words.
class page {
public:
  void row(std::string_view label, std::string_view text) {
    std::size_t column = columns_max;  // the first word opens the first line
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = std::min(text.find(' ', at), text.size());
      const std::string_view word = text.substr(at, end - at);
      at = end + 1;
      if (column + 1 + word.size() > columns_max) {
        if (!text_.empty()) text_ += '\n';
        fmt::format_to(std::back_inserter(text_), "{:<{}}{}", label, label_columns, word);
        label = {};
        column = label_columns + word.size();
      } else {
        text_ += ' ';
        text_ += word;
        column += 1 + word.size();
      }
    }
  }
  std::string text() && { return std::move(text_) + "\n"; }

private:
  std::string text_;
};

/// What somebody else has set, made fit for the page.
std::string printable(std::string_view text) {
  std::string out(text.substr(0, 60));
  for (char& c : out)
    if (c <= ' ' || c > '~') c = '?';
  return out;
}

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang++ {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

std::string number(const host_setting& setting) {
  if (setting.value) return std::to_string(*setting.value);
  return setting.error == ENOENT ? "absent" : "not readable (" + errno_name(setting.error) + ")";
}

std::string limits(const host_limit& limit, std::uint64_t unit, const char* unit_name,
                   const char* name) {
  if (!limit.known) return fmt::format("not known ({})", name);
  const auto one = [&](std::uint64_t value) {
    return value == host_limit::unlimited ? "unlimited"
                                          : fmt::format("{}{}", value / unit, unit_name);
  };
  return fmt::format("soft {}, hard {} ({})", one(limit.soft), one(limit.hard), name);
}

const char* name_of(answered_by who) noexcept {
  switch (who) {
  case answered_by::uring:
    return "io_uring";
  case answered_by::epoll:
    return "epoll and helper threads";
  case answered_by::undecided:
    break;
  }
  return "nothing: it does not start here";
}

const char* meaning_of_disabled(const host_setting& setting) noexcept {
  if (!setting.value) return setting.error == ENOENT ? ": Linux before 6.6 has no such switch" : "";
  switch (*setting.value) {
  case 0:
    return ": io_uring is allowed to all";
  case 1:
    return ": allowed with CAP_SYS_ADMIN, or in the group below";
  case 2:
    return ": forbidden to all";
  default:
    return "";
  }
}

const char* meaning_of_seccomp(const host_setting& setting) noexcept {
  switch (setting.value.value_or(-1)) {
  case 0:
    return ": no filter";
  case 1:
    return ": strict";
  case 2:
    return ": a filter is active";
  default:
    return "";
  }
}

void add_rings(page& out, const ring_findings& ring) {
  out.row("io_uring", ring.error == 0
                          ? "opens, with " + ring.flags_used
                          : fmt::format("does not open: {} ({})", errno_name(ring.error),
                                        errno_text(ring.error)));
  const auto parts = [&](const char* label, const std::vector<ring_part>& all, bool known) {
    out.row(label, known ? "found: " + found_names(all) : "not known, for no ring can be asked");
    if (known) out.row("", "missing: " + missing_names(all));
  };
  parts("setup flags", ring.flags, ring.looked_into);
  parts("ring features", ring.features, ring.looked_into);
  parts("operations", ring.operations, ring.operations_known);
}

void add_permissions(page& out, const host_findings& found) {
  out.row("sysctl", fmt::format("kernel.io_uring_disabled: {}{}", number(found.uring_disabled),
                                meaning_of_disabled(found.uring_disabled)));
  out.row("", fmt::format("kernel.io_uring_group: {}{}", number(found.uring_group),
                          found.uring_group.value == -1 ? ": none" : ""));
  out.row("seccomp", fmt::format("Seccomp: {}{}; Seccomp_filters: {}; NoNewPrivs: {}",
                                 number(found.seccomp), meaning_of_seccomp(found.seccomp),
                                 number(found.seccomp_filters), number(found.no_new_privs)));
}

void add_limits(page& out, const host_findings& found) {
  out.row("locked memory", limits(found.locked_memory, 1024, " KiB", "RLIMIT_MEMLOCK"));
  out.row(
      "descriptors",
      fmt::format("open {}, {}",
                  found.descriptors_open ? std::to_string(*found.descriptors_open) : "not known",
                  limits(found.descriptors, 1, "", "RLIMIT_NOFILE")));
  out.row("threads", fmt::format("{} here; of the user's: {}", number(found.threads),
                                 limits(found.processes, 1, "", "RLIMIT_NPROC")));
}

void add_calls(page& out, const std::vector<host_call>& calls) {
  std::string here;
  std::string missing;
  for (const host_call& call : calls) {
    std::string& list = call.refused == 0 ? here : missing;
    if (!list.empty()) list += ' ';
    list += call.name;
    if (call.refused != 0) list += " (" + errno_name(call.refused) + ")";
  }
  out.row("system calls", fmt::format("found: {}; missing: {}", here.empty() ? "none" : here,
                                      missing.empty() ? "none" : missing));
}

}  // namespace

std::string doctor_text(const host_findings& found) {
  const diagnosis result = diagnose(found);
  page out;
  out.row("weft", fmt::format("{}.{}.{}, built by {}", WEFT_VERSION_MAJOR, WEFT_VERSION_MINOR,
                              WEFT_VERSION_PATCH, compiler()));
  out.row("kernel", fmt::format("{} {}, {}", printable(found.system), printable(found.release),
                                printable(found.machine)));
  out.row("weft uses", name_of(result.used));
  out.row("because", result.why);
  if (!result.remedy.empty()) out.row("what helps", result.remedy);
  out.row("WEFT_KERNEL", found.kernel_env.empty() ? "not set" : printable(found.kernel_env));
  add_rings(out, found.ring);
  add_permissions(out, found);
  add_limits(out, found);
  add_calls(out, found.calls);
  return std::move(out).text();
}

}  // namespace weft::detail
