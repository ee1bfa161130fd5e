// SPDX-License-Identifier: MIT
#pragma once
// How much processor time the control group of this process may use (cgroup version 2: version 1
// keeps its quota elsewhere and counts as none). Where it is written is a parameter, so that a test
// can put a tree of its own in the place of the system's.

#include <string>

namespace weft::detail {

/// `most`, or less when the smallest quota on the way from the process's group up to the root
/// allows fewer cores: a part of a core counts as one. Files that are missing or make no sense
/// limit nothing.
///
/// Shape:    `groups` names the file that says in which group the process is (/proc/self/cgroup),
///           `mount` the directory where the groups are (/sys/fs/cgroup).
/// Returns:  1..most; `most` is at least 1.
/// Errors:   bad_alloc.
/// Source:   cpu.max in the kernel's Documentation/admin-guide/cgroup-v2.rst.
unsigned cores_in_quota(unsigned most, const std::string& groups, const std::string& mount);

}  // namespace weft::detail
