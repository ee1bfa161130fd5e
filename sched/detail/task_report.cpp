// SPDX-License-Identifier: MIT
#include "weft/sched/detail/task_report.hpp"

#include "weft/sched/detail/hosting.hpp"
#include "weft/sched/detail/trace_text.hpp"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>
#include <new>
#include <string_view>
#include <vector>

namespace weft::detail {

namespace {

class tree_writer {
public:
  tree_writer(const task_tree& tree, std::int64_t now_ns)
      : entries_(tree.entries()), children_(entries_.size()), now_ns_(now_ns) {
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      const std::size_t parent = entries_[i].parent;
      (parent == task_tree::nobody ? roots_ : children_[parent]).push_back(i);
    }
  }

  std::string write() {
    // Depth first, without recursion: a chain may be as deep as memory allows.
    for (const std::size_t root : roots_) write_below(root);
    return std::move(out_);
  }

private:
  struct place {
    std::size_t entry;
    std::string indent;  // of what is below it
    std::string branch;
  };

  void write_below(std::size_t root) {
    std::vector<place> left{{root, "", ""}};
    while (!left.empty()) {
      const place here = std::move(left.back());
      left.pop_back();
      out_ += here.branch;
      describe(entries_[here.entry]);
      out_ += '\n';
      const auto& below = children_[here.entry];
      // A chain goes straight down: only where tasks part does the text step in.
      const bool parts = below.size() > 1;
      for (std::size_t i = below.size(); i-- > 0;) {
        const bool last = i + 1 == below.size();
        left.push_back({below[i], here.indent + (last ? "   " : "│  "),
                        here.indent + (parts && !last ? "├─ " : "└─ ")});
      }
    }
  }

  void describe(const task_tree::entry& e) {
    auto out = std::back_inserter(out_);
    if (e.line.line() != 0) {
      fmt::format_to(out, "{} ({}:{})", short_function_name(e.line.function_name()),
                     e.line.file_name(), e.line.line());
    } else {
      out_ += "one of them";  // of when_all or when_any, without a frame of the user's
    }
    if (e.is == task_tree::state::awaits) return;
    if (e.is == task_tree::state::goes_on) {
      out_ += ": runs, or is ready to";
    } else {
      fmt::format_to(out, ": waits for {}", e.waits_for);
      describe(e.note);
    }
    if (e.worker >= 0) fmt::format_to(out, ", of worker {}", e.worker);
    if (e.since_ns != 0)
      fmt::format_to(out, "; first waited {} ago", duration_text(now_ns_ - e.since_ns));
    if (e.deadline_ns != no_deadline)
      fmt::format_to(out, "; has {} left",
                     duration_text(e.deadline_ns > now_ns_ ? e.deadline_ns - now_ns_ : 0));
  }

  void describe(const wait_note& note) {
    auto out = std::back_inserter(out_);
    if (note.holder.line() != 0)
      fmt::format_to(out, ", which {} took at {}:{}",
                     short_function_name(note.holder.function_name()), note.holder.file_name(),
                     note.holder.line());
    if (note.is_channel)
      fmt::format_to(out, " (channel with {} of {} values and {} sender{})", note.values,
                     note.capacity, note.senders, note.senders == 1 ? "" : "s");
  }

  const std::vector<task_tree::entry>& entries_;
  std::vector<std::vector<std::size_t>> children_;
  std::vector<std::size_t> roots_;
  const std::int64_t now_ns_;
  std::string out_;
};

/// Guests that are held as long as one looks at them.
class held_guests {
public:
  explicit held_guests(scheduler& s) : looking_(s), guests_(s.hosting().guests.hold_all()) {}
  held_guests(const held_guests&) = delete;
  held_guests& operator=(const held_guests&) = delete;
  ~held_guests() {
    for (guest* g : guests_) g->release();
  }
  const std::vector<guest*>& all() const noexcept { return guests_; }

private:
  const scheduler::outside_call looking_;  // a run whose end waits for this look is not deadlocked
  std::vector<guest*> guests_;
};

}  // namespace

std::string tree_text(const task_tree& tree, std::int64_t now_ns) {
  std::string text = tree_writer(tree, now_ns).write();
  if (tree.left_out() != 0)
    fmt::format_to(std::back_inserter(text), "... and {} more\n", tree.left_out());
  return text;
}

std::string tasks_text(scheduler& s) {
  task_tree tree;
  {
    const held_guests guests(s);
    for (guest* g : guests.all()) tree.add(*g);
    tree.finish();
  }
  return tree_text(tree, s.now());
}

std::string deadlock_text(scheduler& s) noexcept {
  try {
    return "deadlock: every task waits, and nothing is left that could wake one (no timer, no I/O, "
           "no blocking call, no work_guard):\n" +
           tasks_text(s) +
           "Wake them from a task, or, where a plain thread or another library will do so, hold a "
           "weft::work_guard until it has.";
  } catch (const std::bad_alloc&) {
    return {};
  }
}

}  // namespace weft::detail
