// SPDX-License-Identifier: MIT
#pragma once
// What this kernel's io_uring has, found out by trying: a part of what doctor() looks at. Whatever
// is refused is a finding, and nothing stays open.

#include <string>
#include <vector>

namespace weft::detail {

/// A flag, feature or operation that an io_uring may have or lack.
struct ring_part {
  const char* name;
  const char* since;  // the Linux that first had it
  bool needed;        // without it weft does not use io_uring
  bool found;
};

/// "A B C", or "none".
std::string found_names(const std::vector<ring_part>& parts);
/// "A (Linux 5.1), B (Linux 6.1)", or "none".
std::string missing_names(const std::vector<ring_part>& parts);

struct ring_findings {
  int error = 0;                  // with which a ring like weft's could not be opened; 0: it opens
  std::string flags_used;         // of that ring, as names
  bool looked_into = false;       // a ring of some kind opens: its flags and features are known
  bool operations_known = false;  // and it told which operations it has
  std::vector<ring_part> flags;
  std::vector<ring_part> features;
  std::vector<ring_part> operations;
};

/// Opens a ring as weft does, and looks at what a plain one has.
///
/// Errors: bad_alloc.
/// Thread: any.
ring_findings look_at_rings();

}  // namespace weft::detail
