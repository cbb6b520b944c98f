// What the rounds of the driver have in common: threads, random numbers, the demand.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "kernels.h"
#include "pool.h"

using groupnl::Activation;
using std::int64_t;

class Threads final : public groupnl::Pool {
 public:
  explicit Threads(int count) : count_(count) {}

  void run(Task task, void* data, std::size_t count) override {
    std::atomic<std::size_t> next{0};
    const auto serve = [&] {
      for (std::size_t i = next++; i < count; i = next++) task(data, i);
    };
    std::vector<std::thread> threads;
    for (int i = 1; i < count_; ++i) threads.emplace_back(serve);
    serve();
    for (auto& thread : threads) thread.join();
  }

 private:
  int count_;
};

inline std::mt19937_64 generator(1);

inline int64_t integer(int64_t least, int64_t most) {
  return std::uniform_int_distribution<int64_t>(least, most)(generator);
}

inline std::unique_ptr<float[]> numbers(int64_t count, double spread) {
  std::unique_ptr<float[]> made(new float[static_cast<std::size_t>(count)]);
  std::normal_distribution<double> normal(0.0, spread);
  for (int64_t i = 0; i < count; ++i) made[static_cast<std::size_t>(i)] = static_cast<float>(normal(generator));
  return made;
}

inline double act(Activation kind, double v) {
  if (kind == Activation::relu) return v < 0 ? 0 : v;
  if (kind == Activation::relu6) return v < 0 ? 0 : v > 6 ? 6 : v;
  if (kind == Activation::hardswish) return v * std::min(1.0, std::max(0.0, v / 6 + 0.5));
  return v;
}

inline void demand(bool holds, const char* what, int round) {
  if (holds) return;
  std::fprintf(stderr, "round %d: %s\n", round, what);
  std::exit(1);
}

// One random layer of int8 (driver_quantized.cpp).
void blocked_round(int round);
void blocked_gate_round(int round);
void quantized_round(int round);
