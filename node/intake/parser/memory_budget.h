// Memory that workers share for files opened in memory. Requests are served in order, each as soon as enough is free,
// so that one scan may have all of it and none starves. Any thread. A holder must return its share before it asks
// again.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

namespace fovea::node::intake {

class MemoryBudget {
 public:
  explicit MemoryBudget(std::uint64_t total_bytes) : total_bytes_(total_bytes), free_bytes_(total_bytes) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;
  ~MemoryBudget() = default;

  // Given back on destruction.
  class Share {
   public:
    Share(Share&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Share& operator=(Share&&) = delete;
    ~Share() {
      if (budget_ != nullptr) budget_->give_back(bytes_);
    }

   private:
    friend class MemoryBudget;
    Share(MemoryBudget& budget, std::uint64_t bytes) : budget_(&budget), bytes_(bytes) {}
    MemoryBudget* budget_;
    std::uint64_t bytes_;
  };

  // None: more than there is in all.
  std::optional<Share> take(std::uint64_t bytes) {
    if (bytes > total_bytes_) return std::nullopt;
    std::unique_lock lock(mutex_);
    const std::uint64_t turn = asked_++;
    changed_.wait(lock, [&] { return turn == served_ && bytes <= free_bytes_; });
    ++served_;
    free_bytes_ -= bytes;
    changed_.notify_all();
    return Share(*this, bytes);
  }

  std::uint64_t total_bytes() const noexcept { return total_bytes_; }

 private:
  void give_back(std::uint64_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      free_bytes_ += bytes;
    }
    changed_.notify_all();
  }

  const std::uint64_t total_bytes_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::uint64_t free_bytes_, asked_ = 0, served_ = 0;
};

}  // namespace fovea::node::intake
