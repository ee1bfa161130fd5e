// SPDX-License-Identifier: MIT
#include "weft/io/detail/ring_findings.hpp"

#include "weft/io/kernel/kernel.hpp"
#include "weft/io/kernel/linux_queue.hpp"
#include "weft/io/kernel/ring_needs.hpp"

#include <fmt/format.h>
#include <liburing.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <system_error>

namespace weft::detail {

namespace {

struct named_bit {
  unsigned bit;
  const char* name;
  const char* since;
  unsigned together_with = 0;  // flags without which the kernel refuses this one
};

constexpr std::array setup_flags{
    named_bit{IORING_SETUP_CQSIZE, "CQSIZE", "5.5"},
    named_bit{IORING_SETUP_CLAMP, "CLAMP", "5.6"},
    named_bit{IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL", "5.18"},
    named_bit{IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN", "5.19"},
    named_bit{IORING_SETUP_TASKRUN_FLAG, "TASKRUN_FLAG", "5.19", IORING_SETUP_COOP_TASKRUN},
    named_bit{IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER", "6.0"},
    named_bit{IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN", "6.1", IORING_SETUP_SINGLE_ISSUER},
};

constexpr std::array ring_features{
    named_bit{IORING_FEAT_SINGLE_MMAP, "SINGLE_MMAP", "5.4"},
    named_bit{IORING_FEAT_NODROP, "NODROP", "5.5"},
    named_bit{IORING_FEAT_SUBMIT_STABLE, "SUBMIT_STABLE", "5.5"},
    named_bit{IORING_FEAT_RW_CUR_POS, "RW_CUR_POS", "5.6"},
    named_bit{IORING_FEAT_CUR_PERSONALITY, "CUR_PERSONALITY", "5.6"},
    named_bit{IORING_FEAT_FAST_POLL, "FAST_POLL", "5.7"},
    named_bit{IORING_FEAT_POLL_32BITS, "POLL_32BITS", "5.9"},
    named_bit{IORING_FEAT_SQPOLL_NONFIXED, "SQPOLL_NONFIXED", "5.11"},
    named_bit{IORING_FEAT_EXT_ARG, "EXT_ARG", "5.11"},
    named_bit{IORING_FEAT_NATIVE_WORKERS, "NATIVE_WORKERS", "5.12"},
    named_bit{IORING_FEAT_RSRC_TAGS, "RSRC_TAGS", "5.13"},
    named_bit{IORING_FEAT_CQE_SKIP, "CQE_SKIP", "5.17"},
    named_bit{IORING_FEAT_LINKED_FILE, "LINKED_FILE", "5.17"},
};

template <std::size_t Size>
constexpr unsigned bits_of(const std::array<named_bit, Size>& all) noexcept {
  unsigned bits = 0;
  for (const named_bit& one : all) bits |= one.bit;
  return bits;
}
// Nothing that weft's rings ask for would be left out unseen.
static_assert((ring_flag_sets.front() | ring_flag_sets.back()) == bits_of(setup_flags));
static_assert((ring_features_needed & ~bits_of(ring_features)) == 0);

void open_as_weft_does(ring_findings& out) {
  try {
    const std::unique_ptr<kernel_queue> queue = open_linux_queue(system_kernel(), {});
    const unsigned flags = queue->memory().flags;
    for (const named_bit& flag : setup_flags) {
      if ((flags & flag.bit) == 0) continue;
      if (!out.flags_used.empty()) out.flags_used += ' ';
      out.flags_used += flag.name;
    }
  } catch (const std::system_error& e) {
    out.error = e.code().value();
  }
}

/// Whether the kernel knows the flag; a ring that it refuses for another reason says nothing of it.
bool accepts(const named_bit& flag) noexcept {
  io_uring ring{};
  io_uring_params parameters{};
  parameters.flags = flag.bit | flag.together_with;
  parameters.cq_entries = 2;
  const int result = io_uring_queue_init_params(1, &ring, &parameters);
  if (result == 0) io_uring_queue_exit(&ring);
  return result != -EINVAL;
}

struct probe_free {
  void operator()(io_uring_probe* probe) const noexcept { io_uring_free_probe(probe); }
};

void look_at_plain_ring(ring_findings& out) {
  io_uring ring{};
  if (io_uring_queue_init(1, &ring, 0) != 0) return;
  const unsigned features = ring.features;
  const std::unique_ptr<io_uring_probe, probe_free> probe(io_uring_get_probe_ring(&ring));
  io_uring_queue_exit(&ring);

  out.looked_into = true;
  const unsigned needed_flags = ring_flag_sets.back();
  for (const named_bit& flag : setup_flags)
    out.flags.push_back({flag.name, flag.since, (needed_flags & flag.bit) != 0, accepts(flag)});
  for (const named_bit& feature : ring_features)
    out.features.push_back({feature.name, feature.since, (ring_features_needed & feature.bit) != 0,
                            (features & feature.bit) != 0});
  out.operations_known = probe != nullptr;
  if (probe == nullptr) return;
  for (const needed_operation& one : operations_needed)
    out.operations.push_back(
        {one.name, one.since, false, io_uring_opcode_supported(probe.get(), one.code) != 0});
}

}  // namespace

std::string found_names(const std::vector<ring_part>& parts) {
  std::string names;
  for (const ring_part& part : parts)
    if (part.found) names += (names.empty() ? "" : " ") + std::string(part.name);
  return names.empty() ? "none" : names;
}

std::string missing_names(const std::vector<ring_part>& parts) {
  std::string names;
  for (const ring_part& part : parts)
    if (!part.found)
      names += fmt::format("{}{} (Linux {})", names.empty() ? "" : ", ", part.name, part.since);
  return names.empty() ? "none" : names;
}

ring_findings look_at_rings() {
  ring_findings out;
  open_as_weft_does(out);
  look_at_plain_ring(out);
  return out;
}

}  // namespace weft::detail
