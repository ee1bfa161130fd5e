// SPDX-License-Identifier: MIT
#include "weft/runtime/task_tree.hpp"

#include "weft/runtime/operation.hpp"
#include "weft/runtime/promise.hpp"
#include "weft/runtime/worker.hpp"

#include <string_view>
#include <unordered_set>
#include <utility>

namespace weft::detail {

namespace {

// Scopes within scopes; deeper ones are left out.
constexpr unsigned depth_max = 200;

/// Whether a coroutine is one of weft's headers': run_group, run_limited and the like.
bool is_library(std::source_location where) noexcept {
  const std::string_view file = where.file_name();
  for (const char* room : {"weft/runtime/", "weft/io/", "weft/sched/"})
    if (file.find(room) != std::string_view::npos && file.ends_with(".hpp")) return true;
  return false;
}

/// A strand is looked at while the lock of one that waits for it is held. Who starts a wait holds
/// its own, and may have to wake that very one: so a look gives way.
class look_lock {
public:
  look_lock(spin_lock& l, bool shared, bool insists = false) noexcept
      : lock_(shared ? &l : nullptr), held_(!shared) {
    for (int looks = 0; !held_ && (insists || looks < looks_max); ++looks) {
      held_ = l.try_lock();
      if (!held_) wait_briefly(looks);
    }
  }
  ~look_lock() {
    if (held_ && lock_ != nullptr) lock_->unlock();
  }
  look_lock(const look_lock&) = delete;
  look_lock& operator=(const look_lock&) = delete;

  explicit operator bool() const noexcept { return held_; }

private:
  static constexpr int looks_max = 200;

  spin_lock* const lock_;
  bool held_;
};

promise_base* who_awaits(promise_base& p) noexcept {
  return p.awaiter != nullptr ? p.awaiter : p.strand_->parent();
}

}  // namespace

void task_tree::add(cancel_scope& root) { look_at(root, 0); }

void task_tree::look_at(cancel_scope& s, unsigned depth) {
  if (depth == depth_max) {
    ++left_out_;
    return;
  }
  // With the lock of a strand, too, one has to give way: who walks the scope visits strands.
  const look_lock guard(s.lock_, s.shared_, depth == 0);
  if (!guard) {
    ++left_out_;
    return;
  }
  const auto visit = [this, depth](strand& inside) { look_at(inside, depth); };
  s.strands_.for_each(visit);
  s.visited_.for_each(visit);
}

void task_tree::look_at(strand& s, unsigned depth) {
  const look_lock guard(s.lock_, s.shared_);
  if (entries_.size() + going_on_.size() >= entries_max) {
    ++left_out_;
    return;
  }
  if (!guard) {  // it begins to wait, or is being woken
    add_going_on(s, {});
    return;
  }
  entry found{.since_ns = s.linked_ns_, .deadline_ns = s.scope_->deadline()};
  if (const operation* const op = s.waiting_) {
    std::size_t at = place(*op->promise);
    if (at == nobody || lines_[at] != &s) {  // nothing but frames of the library's
      found.parent = at;
      at = add_entry(found, &s);
    }
    entry& e = entries_[at];
    e.is = state::waits;
    e.waits_for = op->kind->name;
    e.since_ns = found.since_ns;
    e.deadline_ns = found.deadline_ns;
    if (op->owner != nullptr) e.worker = static_cast<int>(op->owner->index);
    if (op->kind->describe != nullptr) op->kind->describe(*op, e.note);
    cancel_scope* const within = e.note.within;
    if (within != nullptr && &within->home() == s.home_) {
      const std::size_t before = std::exchange(above_, at);
      look_at(*within, depth + 1);
      above_ = before;
    }
  } else {
    add_going_on(s, found);
  }
  for (cancel_scope* inside = s.scope_; inside != s.base_; inside = inside->outer())
    look_at(*inside, depth + 1);
}

void task_tree::add_going_on(const strand& s, entry found) {
  found.is = state::goes_on;
  found.line = s.name_;
  const std::size_t parent = s.parent_ != nullptr ? place(*s.parent_) : above_;
  going_on_.push_back({&s, parent, found});
}

void task_tree::finish() {
  const std::unordered_set<const strand*> shown(lines_.begin(), lines_.end());
  for (going_on& g : going_on_) {
    if (shown.contains(g.line)) continue;  // its children wait
    g.found.parent = g.parent;
    add_entry(g.found, g.line);
  }
  going_on_.clear();
}

/// Where a frame is, or whoever awaits it when it is one of the library's; adds it and all above
/// it.
std::size_t task_tree::place(promise_base& innermost) {
  std::vector<promise_base*> unknown;
  std::size_t parent = above_;
  for (promise_base* p = &innermost; p != nullptr; p = who_awaits(*p)) {
    if (const auto known = places_.find(p); known != places_.end()) {
      parent = known->second;
      break;
    }
    unknown.push_back(p);
  }
  for (std::size_t i = unknown.size(); i-- > 0;) {
    promise_base& p = *unknown[i];
    if (!is_library(p.line)) parent = add_entry({.parent = parent, .line = p.line}, p.strand_);
    places_.emplace(&p, parent);
  }
  return parent;
}

std::size_t task_tree::add_entry(const entry& e, const strand* line) {
  entries_.push_back(e);
  lines_.push_back(line);
  return entries_.size() - 1;
}

}  // namespace weft::detail
