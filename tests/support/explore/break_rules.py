#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Copies sources of runtime/ so that single rules in them can be dropped while they run.

    break_rules.py RUNTIME_FOLDER OUTPUT_FOLDER

In the copies each rule of the list below asks explore::holds("its name"). A test drops one at a
time and sees that an exploration fails (rules.hpp). A piece of code that is no longer found as
often as it should be ends this program with an error: then the rule has to be stated anew.
"""

import pathlib
import re
import sys


class Rule:
    """`changes` are pairs of texts: where, with the part between « and » (without them: all of it)
    to be replaced, and what by, where HOLDS stands for the question. The place is found once in the
    file or, with `within` (the beginning of a function's definition), `times` in that function."""

    def __init__(self, file, name, *changes, within=None, times=1):
        self.file, self.name, self.changes = file, name, changes
        self.within, self.times = within, times

    def edits(self, text):
        """(begin, end, what instead) of each change."""
        first, last = 0, len(text)
        if self.within is not None:
            first = self.places(text, self.within, 1)[0]
            line = text[text.rindex("\n", 0, first) + 1:first + 1]
            indent = line[:len(line) - len(line.lstrip())]
            last = text.index(f"\n{indent}}}\n", first)
        for where, new in self.changes:
            before, _, rest = where.partition("«") if "«" in where else ("", "", where)
            old, _, behind = rest.partition("»")
            new = new.replace("HOLDS", f'weft::explore::holds("{self.name}")')
            for place in self.places(text[first:last], before + old + behind, self.times):
                begin = first + place + len(before)
                yield begin, begin + len(old), new

    def places(self, text, piece, times):
        found = [match.start() for match in re.finditer(re.escape(piece), text)]
        if len(found) != times:
            sys.exit(f'{self.file}: "{self.name}": {piece!r} is there {len(found)} times, '
                     f"expected {times}")
        return found


def lock_dropped(file, name, within, unlocks, lock="lock"):
    """The same where the lock is let go by hand, in several places."""
    return [Rule(file, name, (f"«»{lock}.lock();", "if (HOLDS) "), within=within),
            Rule(file, name, (f"«»{lock}.unlock();", "if (HOLDS) "), within=within, times=unlocks)]


def unlocked(file, name, within, lock="lock_"):
    """A function that does without its lock."""
    return Rule(file, name, (f"const std::lock_guard guard({lock});",
                             f"const weft::detail::lock_if_shared guard({lock}, HOLDS);"),
                within=within)


RULES = [
    Rule("strand.cpp", "strand: a stopped scope refuses a wait",
         ("if («stop_requested()») {\n    unlock();", "HOLDS && stop_requested()")),
    Rule("strand.cpp", "strand: who waits is in its scope's list",
         ("if («linked_») return;", "!HOLDS || linked_"), within="void strand::link_once("),
    Rule("strand.cpp", "strand: begin_wait locks before it asks for a stop",
         ("link_once();\n  «lock();»", "if (HOLDS) lock();"),
         ("«unlock();»\n    stop_token", "if (HOLDS) unlock();"),
         ("«waiting_ =»", "if (!HOLDS) lock();\n  waiting_ ="), within="bool strand::begin_wait("),
    Rule("strand.cpp", "strand: complete locks",
         ("«lock();»\n  WEFT", "if (HOLDS) lock();"),
         ("«unlock();»\n    return", "if (HOLDS) unlock();"),
         ("waiting_ = nullptr;\n  «unlock();»", "if (HOLDS) unlock();"),
         within="void strand::complete("),
    Rule("strand.cpp", "strand: visit locks",
         ("  «lock();»\n  cancel_scope* reached", "if (HOLDS) lock();"),
         ("cancel_posted_) {\n    «unlock();»", "if (HOLDS) unlock();"),
         ("waiting_ = nullptr;\n    «unlock();»", "if (HOLDS) unlock();"),
         ("op->owner;\n    «unlock();»", "if (HOLDS) unlock();"), within="void strand::visit("),
    Rule("strand.cpp", "strand: complete leaves the resume to a cancel on its way",
         ("if («cancel_posted_») {\n    completed_", "HOLDS && cancel_posted_"),
         ("if («!resume») resume =", "!resume && (HOLDS || op != nullptr)")),
    Rule("strand.cpp", "strand: complete tells the cancel on its way",
         ("completed_ = «true»;", "HOLDS")),
    Rule("strand.cpp", "strand: the cancel hears of the completion",
         ("bool resume = «self»", "HOLDS && self")),
    Rule("strand.cpp", "strand: one cancel is on its way at a time",
         ("op == nullptr || «cancel_posted_»)", "(HOLDS && cancel_posted_)")),
    Rule("strand.cpp", "strand: a cancel that has arrived is on its way no more",
         ("«self.cancel_posted_ =»", "if (HOLDS) self.cancel_posted_ =")),
    Rule("strand.cpp", "strand: who withdraws takes the wait away",
         ("if («withdrawn») waiting_", "HOLDS && withdrawn")),
    Rule("strand.cpp", "strand: the cancel takes the wait away",
         ("if («resume») self.waiting_", "HOLDS && resume")),
    Rule("strand.cpp", "strand: the owner alone withdraws",
         ("«op->owner == nullptr»", "op->owner == nullptr || !HOLDS")),
    Rule("strand.cpp", "strand: a stop reaches the scopes within",
         ("s = s->outer()) «s->request_stop()»", "if (HOLDS) s->request_stop()")),
    Rule("strand.cpp", "strand: a scope opened under a stop is stopped",
         ("if («stop_requested()») s.set_stopped", "HOLDS && stop_requested()")),
    Rule("scope.hpp", "strand: begin_wait sees a stop of this strand alone",
         ("(«stopped_alone() && scope_ == base_»)", "HOLDS && stopped_alone() && scope_ == base_"),
         within="bool strand::stop_requested("),
    Rule("strand.cpp", "strand: a visit tells the tokens",
         ("«send_stop_records(w);»", "if (HOLDS) send_stop_records(w);")),
    Rule("stop_token.cpp", "strand: who keeps a token locks",
         ("= true;\n  «lock();»", "if (HOLDS) lock();"),
         ("«unlock();»\n  return kept", "if (HOLDS) unlock();"), within="bool strand::keep("),
    Rule("stop_token.cpp", "strand: who keeps a token looks for a stop",
         ("kept = «!stop_requested()»", "(!HOLDS || !stop_requested())")),
    Rule("stop_token.cpp", "strand: the scope stays until a token is told",
         ("held = «base_->try_hold()»", "!HOLDS || base_->try_hold()")),
    Rule("operation.hpp", "strand: an operation is started under the lock",
         ("    «if (!self().start(w)) {»\n",
          "if (!HOLDS) s.commit_wait();\n    if (!self().start(w)) {\n"
          "      if (!HOLDS) s.begin_join(*this);"),
         ("«s.commit_wait();»\n    return true;", "if (HOLDS) s.commit_wait();")),
    Rule("scope.cpp", "scope: a stop is sent once",
         ("std::memory_order_relaxed))\n    «return;»\n  worker* const w",
          "{ if (HOLDS) return; }")),
    Rule("scope.cpp", "scope: the walk holds the scope",
         ("if («try_hold()») send_walk", "!HOLDS || try_hold()"),
         ("if («try_hold()») home_->send", "!HOLDS || try_hold()"),
         ("if (!more)\n    «release();»", "{ if (HOLDS) release(); }")),
    Rule("scope.cpp", "scope: who is empty stays empty", ("while («n != 0»)", "!HOLDS || n != 0")),
    Rule("scope.cpp", "scope: link locks", ("guard(lock_, «shared_»)", "HOLDS"),
         within="void cancel_scope::link("),
    Rule("scope.cpp", "scope: unlink locks", ("guard(lock_, «shared_»)", "HOLDS"),
         within="void cancel_scope::unlink("),
    Rule("scope.cpp", "scope: the walk locks", ("guard(lock_, «shared_»)", "HOLDS"),
         within="void cancel_scope::walk("),
    Rule("scope.cpp", "scope: the walk visits all strands",
         ("«s.visit(nullptr, w);»", "if (HOLDS) s.visit(nullptr, w);")),
    Rule("scope.cpp", "scope: the walk visits the opener",
         ("if («opener_ != nullptr») opener_->visit", "HOLDS && opener_ != nullptr")),
    Rule("scope.cpp", "scope: the walk goes on after a slice",
         ("more = «!strands_.empty()»", "HOLDS && !strands_.empty()")),
    Rule("scope_join.hpp", "scope: the joiner is known before the opener lets go",
         ("«joined.joiner_ = this;»", "if (HOLDS) joined.joiner_ = this;"),
         ("joined.release();«»", "\n    if (!HOLDS) joined.joiner_ = this;")),
    Rule("scope_join.hpp", "scope: the join is published before the opener lets go",
         ("«s.begin_join(*this);»", "if (!HOLDS) joined.release();\n    s.begin_join(*this);"),
         ("«»joined.release();", "if (HOLDS) ")),
    Rule("scope_join.hpp", "scope: the join is committed before the opener lets go",
         ("«s.commit_wait();»", "if (!HOLDS) joined.release();\n    s.commit_wait();"),
         ("«»joined.release();", "if (HOLDS) ")),
    Rule("semaphore.hpp", "semaphore: nobody overtakes who waits",
         ("n != 0 && «!is_awaited(n)»", "(!is_awaited(n) || !HOLDS)")),
    Rule("semaphore.hpp", "semaphore: who gives a permit looks for who waits",
         ("while («is_awaited(give())» &&", "is_awaited(give()) && HOLDS")),
    Rule("semaphore.hpp", "semaphore: a permit that nobody waits for any more goes back",
         ("«!pass_on()»", "!pass_on() && HOLDS")),
    Rule("semaphore.hpp", "semaphore: a number stays one",
         ("if («is_awaited(guess())»)", "is_awaited(guess()) || !HOLDS"),
         within="void await_no_more() noexcept"),
    unlocked("semaphore.cpp", "semaphore: who queues locks", "bool semaphore::take_one_or_queue("),
    Rule("semaphore.cpp", "semaphore: who queues says so",
         ("if («try_await(n)») break", "!HOLDS || try_await(n)")),
    Rule("semaphore.cpp", "semaphore: who is about to queue looks once more",
         ("if («n == 0») {", "!HOLDS || n == 0")),
    unlocked("semaphore.cpp", "semaphore: who passes a permit on locks",
             "bool semaphore::pass_on("),
    Rule("semaphore.cpp", "semaphore: while somebody is queued permits are awaited",
         ("if («waiters_.empty()») await", "waiters_.empty() || !HOLDS")),
    Rule("semaphore.cpp", "semaphore: when nobody is queued permits are not awaited",
         ("«await_no_more();»", "if (HOLDS) await_no_more();")),
    Rule("semaphore.cpp", "semaphore: nobody is told under the lock",
         ("note_taken(next->promise->line);«»",
          "\n    if (!HOLDS && next != nullptr) return next->complete(), true;"),
         within="bool semaphore::pass_on("),
    Rule("semaphore.cpp", "semaphore: a permit goes to the waiter alone",
         ("return «true»;", "HOLDS"), within="bool semaphore::pass_on("),
    Rule("waiter_list.hpp", "waiters: a cancel leaves a grant alone",
         ("return «queued»;", "queued || !HOLDS")),
    Rule("waiter_list.hpp", "waiters: who is cancelled leaves the queue",
         ("if («queued») w.list", "HOLDS && queued")),
    Rule("waiter_list.hpp", "waiters: a cancel locks",
         ("«»lock.lock();", "if (HOLDS) "), ("«»lock.unlock();", "if (HOLDS) ")),
    Rule("waiter_list.hpp", "semaphore: the oldest is served first",
         ("w = «oldest_»;", "HOLDS ? oldest_ : newest_"), within="listed_waiter* take() noexcept"),
    *lock_dropped("channel_state.hpp", "channel: who receives locks", "bool receive(", 1,
                  "receiving_.lock"),
    Rule("channel_state.hpp", "channel: who receives locks",
         ("«»receiving_.lock.unlock();", "if (HOLDS) "), within="bool receive_from_waiting("),
    Rule("channel_state.hpp", "channel: who receives locks",
         ("«»receiving_.lock.unlock();", "if (HOLDS) "), within="bool find_no_value("),
    *lock_dropped("channel_state.hpp", "channel: who sends locks", "send_state send(", 1,
                  "sending_.lock"),
    Rule("channel_state.hpp", "channel: who sends locks",
         ("«»sending_.lock.unlock();", "if (HOLDS) "), within="send_state send_to_waiting(",
         times=2),
    Rule("channel_state.hpp", "channel: who sends locks",
         ("«»sending_.lock.unlock();\n    if (self", "if (HOLDS) "),
         ("«sending_.lock.lock();»", "if (HOLDS) sending_.lock.lock();"),
         ("«»sending_.lock.unlock();\n    receiving_", "if (HOLDS) "),
         within="send_state find_no_room("),
    Rule("channel_state.hpp", "channel: who queues to receive keeps senders away",
         ("const std::lock_guard guard(sending_.lock);",
          "const weft::detail::lock_if_shared guard(sending_.lock, HOLDS);"),
         within="bool try_queue(channel_receiver_waiter<T>& self)"),
    Rule("channel_state.hpp", "channel: who queues to send keeps receivers away",
         ("const std::lock_guard guard(receiving_.lock);",
          "const weft::detail::lock_if_shared guard(receiving_.lock, HOLDS);"),
         within="bool try_queue(channel_sender_waiter<T>& self)"),
    Rule("channel_state.hpp", "channel: who is about to queue looks for a value once more",
         ("taken != own(sending_.count)", "(HOLDS && taken != own(sending_.count))")),
    Rule("channel_state.hpp", "channel: who is about to queue looks for room once more",
         ("sent - own(receiving_.count) != capacity_",
          "(HOLDS && sent - own(receiving_.count) != capacity_)")),
    Rule("channel_state.hpp", "channel: who queues to receive looks for the end once more",
         ("if («closed_» ||", "(HOLDS && closed_)"),
         within="bool try_queue(channel_receiver_waiter<T>& self)"),
    Rule("channel_state.hpp", "channel: who queues to send looks for the end once more",
         ("if («closed_» ||", "(HOLDS && closed_)"),
         within="bool try_queue(channel_sender_waiter<T>& self)"),
    Rule("channel_state.hpp", "channel: without slots who queues to receive keeps senders away",
         ("const std::lock_guard no_sender(sending_.lock);",
          "const weft::detail::lock_if_shared no_sender(sending_.lock, HOLDS);"),
         within="bool find_no_value("),
    Rule("channel_state.hpp", "channel: without slots who queues to send keeps receivers away",
         ("«»receiving_.lock.lock();", "if (HOLDS) "),
         ("«»receiving_.lock.unlock();\n      return", "if (HOLDS) "),
         ("«»receiving_.lock.unlock();\n    return", "if (HOLDS) "),
         within="send_state find_no_room("),
    Rule("channel_state.hpp", "channel: who is about to queue looks for a receiver once more",
         ("closed_ || «!receivers_.empty()»", "(HOLDS && !receivers_.empty())"),
         within="send_state find_no_room("),
    Rule("channel_state.hpp", "channel: who is about to queue looks for the end once more",
         ("if («closed_» ||", "(HOLDS && closed_)"), within="send_state find_no_room("),
    Rule("channel_state.hpp", "channel: who lets a sender in keeps others away",
         ("const std::lock_guard no_sender(sending_.lock);",
          "const weft::detail::lock_if_shared no_sender(sending_.lock, HOLDS);"),
         within="bool receive_from_waiting("),
    *lock_dropped("channel_state.hpp", "channel: who closes keeps receivers away",
                  "void close() noexcept {\n    receiving_", 1, "receiving_.lock"),
    *lock_dropped("channel_state.hpp", "channel: who closes keeps senders away",
                  "void close() noexcept {\n    receiving_", 1, "sending_.lock"),
    *lock_dropped("channel_state.hpp", "channel: a sender that goes locks", "void drop_sender()", 1,
                  "sending_.lock"),
    Rule("channel_state.hpp", "channel: who receives does not queue on a closed channel",
         ("if («!closed» && self", "(!HOLDS || !closed)"),
         ("return «closed»;", "closed && (HOLDS || self == nullptr)"),
         within="bool find_no_value("),
    Rule("channel_state.hpp", "channel: who sends looks whether it is closed",
         ("if («closed_» ||", "(HOLDS && closed_)"), within="send_state send("),
    Rule("channel_state.hpp", "channel: who sends looks for a receiver",
         ("closed_ || «!receivers_.empty()»", "(HOLDS && !receivers_.empty())"),
         within="send_state send("),
    Rule("channel_state.hpp", "channel: who receives looks for a sender",
         ("if («!senders_.empty()»)", "HOLDS && !senders_.empty()"), within="bool receive("),
    Rule("channel_state.hpp", "channel: a sender whose value was taken is told",
         ("«sender->complete();»", "if (HOLDS) sender->complete();")),
    Rule("channel_state.hpp", "channel: a sender that waits is behind what is in the slots",
         ("if («has_value()») {\n      const", "HOLDS && has_value()")),
    Rule("channel_state.hpp", "channel: the values are in order",
         ("oldest = at(«receiving_.next»);",
          "HOLDS ? std::size_t{receiving_.next} : std::size_t{0}")),
    Rule("channel_state.hpp", "channel: the end wakes the receivers",
         ("«complete_all(receivers);»", "if (HOLDS) complete_all(receivers);")),
    Rule("channel_state.hpp", "channel: the end wakes the senders",
         ("«complete_all(senders);»", "if (HOLDS) complete_all(senders);")),
    Rule("channel_state.hpp", "channel: the end tells the senders of it",
         ("state = «send_state::closed»;\n    sending_",
          "HOLDS ? send_state::closed : send_state::sent")),
    Rule("channel_state.hpp", "channel: the last sender that goes closes",
         ("if («last»)", "HOLDS && last")),
    Rule("fork_join.cpp", "when_all: the lines are counted in one step",
         ("if («w.shared») {\n      ended", "HOLDS && w.shared")),
    Rule("fork_join.cpp", "when_all: who takes what was forked begins a line",
         ("«taken.begin_line();»", "if (HOLDS) taken.begin_line();")),
    Rule("fork_join.cpp", "when_all: who begins a line says that there are several",
         ("«join.several_lines_.store(true, std::memory_order_relaxed);»",
          "if (HOLDS) join.several_lines_.store(true, std::memory_order_relaxed);")),
    Rule("fork_join.cpp", "when_all: the parent goes on when all lines are over",
         ("if («ended != all») return", "HOLDS && ended != all")),
    Rule("fork_join.hpp", "when_all: the last child's line waits for the others",
         ("if («»join.several_lines_", "HOLDS && ")),
    Rule("fork_join.hpp", "when_all: a child that has waited ends slowly",
         ("|| «mine.leaves_slowly()»", "(HOLDS && mine.leaves_slowly())")),
    Rule("fork_join.cpp", "when_all: the last child's line waits for the others, slowly",
         ("if («ended != all») {", "HOLDS && ended != all")),
    Rule("fork_join.cpp", "when_all: what is taken of a range ends where it was halved",
         ("mine_end = «&half»;", "HOLDS ? &half : end")),
    Rule("fork_join.cpp", "when_all: a child has left its scope when its line is over",
         ("  «r.leave();»\n  if (join.ended_", "if (HOLDS) r.leave();")),
    Rule("fork_join.cpp", "when_all: a child has left its scope when its line is over",
         ("«»if (ended != all) return", "if (!HOLDS) r.leave();\n    ")),
    Rule("when_any.cpp", "when_any: the winner is decided once",
         ("std::size_t none = «nobody»;",
          "HOLDS ? nobody : all.winner_.load(std::memory_order_relaxed)")),
    Rule("when_any.cpp", "when_any: who was only stopped has not completed",
         ("if («!only_stopped» &&", "(!HOLDS || !only_stopped)")),
    Rule("when_any.cpp", "when_any: the winner stops the others",
         ("«all.scope_.request_stop();»", "{ if (HOLDS) all.scope_.request_stop(); }")),
    Rule("fork_join.cpp", "when_any: each child's end is looked at",
         ("if («join.ended_ != nullptr»)", "HOLDS && join.ended_ != nullptr")),
    Rule("child.hpp", "task_group: who awaits a child is swapped in",
         ("const bool added = «waiter_.compare_exchange_strong(other, &w, "
          "std::memory_order_release,\n"
          "                                                       std::memory_order_acquire)»;",
          "HOLDS ? waiter_.compare_exchange_strong(other, &w, std::memory_order_release, "
          "std::memory_order_acquire) : (waiter_.store(&w, std::memory_order_release), true)")),
    Rule("child.hpp", "task_group: who awaits a child no more takes itself away",
         ("return «»waiter_.compare_exchange_strong(\n        expected, nullptr", "!HOLDS || ")),
    Rule("group_state.cpp", "task_group: a record that a handle holds stays",
         ("const bool wanted = «»owners_", "HOLDS && ")),
    Rule("child.hpp", "task_group: the last owner ends a record",
         ("if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1«») kind_->destroy",
          " && HOLDS")),
    Rule("group_state.cpp", "task_group: a task and what nobody takes go before the group",
         ("  «»const std::exception_ptr* const failure = kind_",
          "if (!HOLDS) group_->release();\n  "),
         ("  «w.holds.give(group);»\n}", "if (HOLDS) w.holds.give(group);")),
    Rule("group_state.cpp", "task_group: who spawns into another group gives back what is spare",
         ("«give_back();»", "HOLDS ? (void)give_back() : (void)(count_ = 0);"),
         within="bool spare_holds::take("),
    Rule("group_state.cpp", "task_group: whose child ends in another group gives it back",
         ("«w.holds.keep_only(group_);»", "if (HOLDS) w.holds.keep_only(group_);"),
         ("«give_back();»\n    group_ = &group;\n  }\n  if (++count_",
          "HOLDS ? (void)give_back() : (void)(count_ = 0);")),
    Rule("group_state.cpp", "task_group: holds are given back as many as there are",
         ("release(«std::exchange(count_, 0U)»)",
          "HOLDS ? std::exchange(count_, 0U) : (count_ = 0, 1)")),
    Rule("group_state.cpp", "task_group: who awaits a child hears of its end",
         ("if («awaits != nullptr») awaits->complete", "HOLDS && awaits != nullptr")),
    Rule("group_state.cpp", "task_group: who stops a child from outside keeps it",
         ("«add_owner();»", "if (HOLDS) add_owner();"),
         ("«self.drop_owner();»", "if (HOLDS) self.drop_owner();")),
    Rule("group_state.cpp", "task_group: who stops a child from outside holds its group",
         ("if («!group_->try_hold()») return;", "HOLDS && !group_->try_hold()"),
         ("self.drop_owner();\n    «group.release();»", "if (HOLDS) group.release();")),
    Rule("group_state.cpp", "task_group: a failure stops the others",
         ("if («fail_fast_») request", "HOLDS && fail_fast_")),
    unlocked("group_state.cpp", "task_group: who begins locks", "bool group_state::try_run("),
    unlocked("group_state.cpp", "task_group: who ends locks", "void group_state::one_has_ended("),
    Rule("group_state.cpp", "task_group: who was kept takes the place of who ends",
         ("next = «oldest_pending_»;\n", "HOLDS ? oldest_pending_ : nullptr")),
    unlocked("group_state.cpp", "task_group: a stop handle locks",
             "void group_link::request_stop("),
    Rule("group_state.cpp", "task_group: its stop handles forget a group that ends",
         ("«link_->forget();»", "{ if (HOLDS) link_->forget(); }")),
    Rule("with_timeout.cpp", "with_timeout: a timer that is armed holds the scope",
         ("const bool held = «try_hold();»", "!HOLDS || try_hold();"),
         ("self.request_stop(stop_cause::deadline);\n    «self.release();»",
          "if (HOLDS) self.release();"),
         ("if (timers_ != nullptr && timers_->remove(*this)) «release();»",
          "{ if (HOLDS) release(); }")),
    Rule("with_timeout.cpp", "with_timeout: the end takes the timer out",
         ("if («»timers_ != nullptr && ", "HOLDS && ")),
    Rule("with_timeout.cpp", "with_timeout: a timer that has left the queue is not taken out",
         ("timers_ != nullptr && «timers_->remove(*this)»",
          "(timers_->remove(*this) || !HOLDS)")),
    Rule("with_timeout.cpp", "with_timeout: an earlier deadline around it stops it",
         ("|| «deadline() < own» ||", "(HOLDS && deadline() < own)")),
    Rule("scope.cpp", "with_timeout: the first cause stays",
         ("«»stop_cause none = stop_cause::none;",
          "if (!HOLDS && cause() != stop_cause::none) cause_.store(why, std::memory_order_release);"
          "\n  ")),
    Rule("strand.cpp", "with_timeout: no stop passes a shield",
         ("if («s->shield_») reached", "HOLDS && s->shield_")),
    Rule("strand.cpp", "with_timeout: a shield that is opened under a stop is not stopped",
         ("if («!s.shield_») {", "!HOLDS || !s.shield_")),
    Rule("with_timeout.hpp", "with_timeout: the scope is joined before it is left",
         ("scope.disarm();\n  scope_join join(scope);\n  «co_await join;»\n"
          "  strand_of(self).close(scope);\n  task_promise",
          "if (HOLDS) co_await join;")),
    Rule("worker_timers.hpp", "with_timeout: who takes a timer out locks",
         ("guard(lock_, «shared_»)", "HOLDS"), within="bool remove(worker_timer& t)"),
    Rule("worker_timers.hpp", "with_timeout: who expires timers locks",
         ("guard(lock_, «shared_»)", "HOLDS"), within="worker_timer* pop_expired("),
    *lock_dropped("event.hpp", "event: who sets locks", "void set() noexcept {\n    lock", 1,
                  "lock_"),
    Rule("event.hpp", "event: who queues locks",
         ("const std::lock_guard guard(event_->lock_);",
          "const weft::detail::lock_if_shared guard(event_->lock_, HOLDS);")),
    Rule("event.hpp", "event: who is about to queue looks once more",
         ("if («event_->set_») return", "HOLDS && event_->set_")),
    *lock_dropped("auto_reset_event.hpp", "event: who signals locks",
                  "void set() noexcept {\n    lock", 1, "lock_"),
    Rule("auto_reset_event.hpp", "event: a signal that nobody waits for stays",
         ("if («next == nullptr») set_", "HOLDS && next == nullptr")),
    Rule("auto_reset_event.hpp", "event: who is about to queue looks for a signal once more",
         ("if («»std::exchange(event_->set_, false)) return", "HOLDS && ")),
    *lock_dropped("latch.hpp", "latch: who counts down locks", "void count_down(", 1, "lock_"),
    *lock_dropped("latch.hpp", "latch: who waits locks", "bool try_pass(", 1, "lock_"),
    Rule("latch.hpp", "latch: a cancel takes its arrivals back",
         ("«self.latch_->count_ += self.arrivals_;»",
          "if (HOLDS) self.latch_->count_ += self.arrivals_;")),
    *lock_dropped("oneshot.hpp", "oneshot: who sends locks", "bool send(T& v)", 1),
    unlocked("oneshot.hpp", "oneshot: a receiver that closes locks",
             "void drop_receiver() noexcept", "lock"),
    unlocked("oneshot.hpp", "oneshot: who receives locks", "bool settled(", "lock"),
    Rule("oneshot.hpp", "oneshot: who sends looks whether the receiver has gone",
         ("if («receiver_gone_») {", "HOLDS && receiver_gone_")),
    *lock_dropped("watch.hpp", "watch: who sends locks", "void send(std::shared_ptr", 1),
    unlocked("watch.hpp", "watch: who looks for news locks", "bool settled(",
             "lock"),
    Rule("watch.hpp", "watch: who looks for news sees that the senders have gone",
         ("version_ != seen || «sender_count_ == 0»", "(HOLDS && sender_count_ == 0)")),
    Rule("watch.hpp", "watch: the last sender that goes wakes the receivers",
         ("= «--sender_count_ == 0» ?", "--sender_count_ == 0 && HOLDS")),
    *lock_dropped("broadcast.hpp", "broadcast: who sends locks", "send_state try_send(", 2),
    unlocked("broadcast.hpp", "broadcast: who waits for a value locks", "bool settled(",
             "lock"),
    Rule("broadcast.hpp", "broadcast: who copies a value has the lock again before it goes on",
         ("value.emplace(std::as_const(*at(next).value()));\n      «lock.lock();»",
          "if (HOLDS) lock.lock();"),
         ("pass(next, value ? left_over : value);\n    «unlock_refilled();»",
          "if (!HOLDS && value) return value;\n    unlock_refilled();")),
    Rule("broadcast.hpp", "broadcast: who makes room lets a sender in",
         ("while («»end_ - begin_ != capacity_ &&", "HOLDS && ")),
    Rule("broadcast.hpp", "broadcast: a receiver that goes passes what it has not seen",
         ("more = «next != end_»;", "HOLDS && next != end_")),
    Rule("broadcast.hpp", "broadcast: a sender that comes in wakes the receivers",
         ("receivers = «sent.empty()» ?", "!HOLDS || sent.empty()")),
    *lock_dropped("condition_variable.hpp", "condition_variable: who notifies locks",
                  "void notify_one() noexcept", 1, "lock_"),
    Rule("condition_variable.hpp", "condition_variable: who is notified has the mutex again",
         ("if («static_cast<detail::condition_wait&>(w).take_mutex()») w.complete",
          "!HOLDS || static_cast<detail::condition_wait&>(w).take_mutex()")),
    Rule("condition_variable.hpp", "condition_variable: who is cancelled has the mutex again",
         ("return waits && «self.take_mutex()»", "(!HOLDS || self.take_mutex())")),
    Rule("condition_variable.hpp", "condition_variable: a cancel leaves a notification alone",
         ("waits = «self.state_ == state::waits»;",
          "self.state_ == state::waits || (!HOLDS && self.state_ == state::notified)")),
    Rule("condition_variable.hpp", "condition_variable: the mutex is let go when one is queued",
         ("const bool waits = awaitable_operation", "if (!HOLDS) held.release();\n    "
          "const bool waits = awaitable_operation"),
         ("if («queued») held", "queued && HOLDS")),
]


def main():
    runtime, output = (pathlib.Path(p) for p in sys.argv[1:])
    texts = {}
    for rule in RULES:
        texts.setdefault(rule.file, (runtime / rule.file).read_text())
    for file, text in texts.items():
        edits = [e for rule in RULES if rule.file == file for e in rule.edits(text)]
        edits.sort(reverse=True)
        for (begin, end, new), behind in zip(edits, [len(text)] + [e[0] for e in edits]):
            if end > behind:
                sys.exit(f"{file}: two rules change the same place: {text[begin:end]!r}")
            text = text[:begin] + new + text[end:]
        last = re.search(r"^#include .*\n(?!#include|\n#include)", text, re.M).end()
        text = text[:last] + '\n#include "support/explore/rules.hpp"\n' + text[last:]
        (output / file).write_text(text)
    names = dict.fromkeys(rule.name for rule in RULES)
    names = "".join(f'    "{name}",\n' for name in names)
    (output / "rule_names.cpp").write_text(
        '#include "support/explore/rules.hpp"\n\n'
        "namespace weft::explore {\n\n"
        "std::vector<std::string_view> all_rules() {\n"
        f"  return {{\n{names}  }};\n"
        "}\n\n}  // namespace weft::explore\n")


if __name__ == "__main__":
    main()
