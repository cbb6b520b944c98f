#include "tail_plan.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

namespace groupnl {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kLargestConstant = 1048576.0;  // beyond 2^20 a phase in double would lose the digits that count
constexpr std::int64_t kCachedFloats = 65536;   // the seed maps of a block are read twice: they stay in the L2 cache
constexpr std::int64_t kLeastPixels = 32;       // of a block: two full AVX-512 registers
constexpr std::int64_t kLeastBlocks = 4;        // something to share out, in small maps too

Sine make_sine(float period, float shift, std::int64_t into) {
  const double rate = static_cast<double>(period) / kPi;
  const double phase = static_cast<double>(period) * static_cast<double>(shift) / kPi;
  const bool exact = std::fabs(phase) > kLargestConstant || std::fabs(rate) > kLargestConstant;
  Sine sine{};
  sine.rate = static_cast<float>(rate);
  sine.rate_rest = static_cast<float>(rate - static_cast<double>(sine.rate));
  sine.phase = static_cast<float>(phase - 2.0 * std::nearbyint(phase / 2.0));
  sine.exact = exact;
  sine.period = period;
  sine.shift = shift;
  sine.into = into;
  return sine;
}

}  // namespace

TailPlan::TailPlan(std::int64_t seed_channels, std::int64_t generated, const float* period, const float* shift,
                   const std::int64_t* source, const float* scale, const float* offset, Normalize normalize,
                   Activation activation) {
  if (source == nullptr && generated > seed_channels) {
    throw std::invalid_argument(std::to_string(generated) + " generated maps of " + std::to_string(seed_channels) +
                                " seed maps: give source, which says what each one reads");
  }
  const auto read_by = [&](std::int64_t map) { return source == nullptr ? map : source[map]; };
  first_.assign(static_cast<std::size_t>(seed_channels) + 1, 0);
  for (std::int64_t g = 0; g < generated; ++g) {
    const std::int64_t seed = read_by(g);
    if (seed < 0 || seed >= seed_channels) {
      throw std::invalid_argument("source[" + std::to_string(g) + "] is " + std::to_string(seed) +
                                  ": expected a seed map, 0 to " + std::to_string(seed_channels - 1));
    }
    ++first_[static_cast<std::size_t>(seed) + 1];
  }
  for (std::size_t s = 1; s < first_.size(); ++s) first_[s] += first_[s - 1];
  std::vector<std::int64_t> next(first_.begin(), first_.end() - 1);
  sines_.resize(static_cast<std::size_t>(generated));
  for (std::int64_t g = 0; g < generated; ++g) {
    auto& place = next[static_cast<std::size_t>(read_by(g))];
    sines_[static_cast<std::size_t>(place++)] = make_sine(period[g], shift[g], seed_channels + g);
  }
  const auto channels = static_cast<std::size_t>(seed_channels + generated);
  scale_.assign(channels, 1.0F);
  offset_.assign(channels, 0.0F);
  if (scale != nullptr) std::copy_n(scale, channels, scale_.begin());
  if (offset != nullptr) std::copy_n(offset, channels, offset_.begin());
  tail_ = Tail{};
  tail_.seed_channels = seed_channels;
  tail_.normalize = normalize != Normalize::none;
  tail_.gain = normalize == Normalize::rms ? std::sqrt(static_cast<float>(seed_channels)) : 1.0F;
  tail_.activation = activation;
  tail_.sines = sines_.data();
  tail_.first = first_.data();
  tail_.scale = scale_.data();
  tail_.offset = offset_.data();
}

void TailPlan::run(Pool& pool, const float* in, std::int64_t in_pitch, float* out, std::int64_t out_pitch,
                   std::int64_t pixels) const {
  std::int64_t block = kCachedFloats / std::max<std::int64_t>(tail_.seed_channels, 1);
  block = std::min(block, (pixels + kLeastBlocks - 1) / kLeastBlocks);
  block = std::clamp((block + 15) / 16 * 16, kLeastPixels, kMostPixels);
  const auto work = [&](std::size_t index) {
    const std::int64_t start = static_cast<std::int64_t>(index) * block;
    kernels().tail(tail_, in + start, in_pitch, out + start, out_pitch, std::min(block, pixels - start));
  };
  pool.each(static_cast<std::size_t>((pixels + block - 1) / block), work);
}

}  // namespace groupnl
