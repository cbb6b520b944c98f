// The threads that the work is spread over: ONNX Runtime's own in the operators, any in tests.
#pragma once

#include <cstddef>
#include <exception>
#include <mutex>

namespace groupnl {

class Pool {
 public:
  using Task = void (*)(void* data, std::size_t index);

  virtual ~Pool() = default;

  // Calls task(data, i) once for each i below count, in any order, and waits. A task must not throw.
  virtual void run(Task task, void* data, std::size_t count) = 0;

  // The same for a callable; the first exception of a task is thrown again here, after all have ended.
  template <class Work>
  void each(std::size_t count, const Work& work) {
    if (count == 0) return;
    if (count == 1) {
      work(std::size_t{0});
      return;
    }
    struct Shared {
      const Work* work;
      std::mutex mutex;
      std::exception_ptr error;
    } shared{&work, {}, nullptr};
    const Task guarded = [](void* data, std::size_t index) {
      auto& state = *static_cast<Shared*>(data);
      try {
        (*state.work)(index);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(state.mutex);
        if (!state.error) state.error = std::current_exception();
      }
    };
    run(guarded, &shared, count);
    if (shared.error) std::rethrow_exception(shared.error);
  }
};

}  // namespace groupnl
