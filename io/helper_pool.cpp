// SPDX-License-Identifier: MIT
#include "weft/io/helper_pool.hpp"

#include "weft/io/ring.hpp"
#include "weft/runtime/assert.hpp"

#include <algorithm>
#include <cerrno>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

namespace weft::detail {

helper_pool::helper_pool(kernel& k, unsigned threads_max) noexcept
    : kernel_(&k), threads_max_(std::max(1u, threads_max)) {}

helper_pool::~helper_pool() {
  {
    const std::lock_guard lock(mutex_);
    WEFT_ASSERT(oldest_ == nullptr, "a scheduler ended while blocking calls were queued");
    stopping_ = true;
    for (const auto& h : helpers_) h->wake.notify_one();
  }
  for (const auto& h : helpers_) h->thread.reset();
}

int helper_pool::submit(helper_job& job) noexcept {
  const std::lock_guard lock(mutex_);
  if (idle_ != nullptr) {
    helper& h = *idle_;
    idle_ = h.idle_next;
    h.job = &job;
    h.wake.notify_one();
  } else if (helpers_.size() < threads_max_) {
    const int error = start_helper(job);
    if (error != 0 && helpers_.empty()) return error;
    // Without another thread the job waits for one of those that there are.
    if (error != 0) push(job);
  } else {
    push(job);
  }
  ++outstanding_;
  return 0;
}

bool helper_pool::cancel(helper_job& job) noexcept {
  const std::lock_guard lock(mutex_);
  if (!job.queued) return false;
  remove(job);
  --outstanding_;
  return true;
}

unsigned helper_pool::outstanding() const noexcept {
  const std::lock_guard lock(mutex_);
  return outstanding_;
}

int helper_pool::start_helper(helper_job& first) noexcept {
  try {
    helpers_.reserve(helpers_.size() + 1);
    auto h = std::make_unique<helper>();
    h->pool = this;
    h->job = &first;
    // The new thread waits for the mutex until the helper is in its place.
    h->thread = kernel_->start_helper([](void* self) { body(self); }, h.get());
    helpers_.push_back(std::move(h));
    return 0;
  } catch (const std::system_error& e) {
    return e.code().value();
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
}

void helper_pool::body(void* self) noexcept {
  helper& h = *static_cast<helper*>(self);
  std::unique_lock lock(h.pool->mutex_);
  h.pool->serve(h, lock);
}

void helper_pool::serve(helper& self, std::unique_lock<std::mutex>& lock) noexcept {
  for (;;) {
    helper_job* job = std::exchange(self.job, nullptr);
    if (job == nullptr && oldest_ != nullptr) {
      job = oldest_;
      remove(*job);
    }
    if (job != nullptr) {
      lock.unlock();
      job->run(*job);
      lock.lock();
      --outstanding_;
      continue;
    }
    if (stopping_) return;
    self.idle_next = idle_;
    idle_ = &self;
    self.wake.wait(lock, [&] { return self.job != nullptr || stopping_; });
  }
}

void helper_pool::push(helper_job& job) noexcept {
  job.before = newest_;
  job.behind = nullptr;
  job.queued = true;
  (newest_ != nullptr ? newest_->behind : oldest_) = &job;
  newest_ = &job;
}

void helper_pool::remove(helper_job& job) noexcept {
  (job.before != nullptr ? job.before->behind : oldest_) = job.behind;
  (job.behind != nullptr ? job.behind->before : newest_) = job.before;
  job.queued = false;
}

std::shared_ptr<helper_pool> make_helpers(kernel& k, unsigned threads_max) {
  return std::make_shared<helper_pool>(k, threads_max);
}

bool calls_outstanding(const helper_pool& helpers) noexcept { return helpers.outstanding() != 0; }

}  // namespace weft::detail
