#include "quantized_plan.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <stdexcept>
#include <string>

namespace groupnl {
namespace {

constexpr double kPi = 3.14159265358979323846;
constexpr double kLeastQuantizedNorm = 1e-12;
constexpr double kMostHalfTurns = 4096.0;   // beyond it the sine in float32 would lose digits
constexpr double kMostOutput = 1e30;        // of constants in steps of the output: nothing near overflows
constexpr double kWidestRange = 1e15;       // between the largest y and the smallest factor: no square vanishes
constexpr double kMostPhase = 1048576.0;    // 2^20: a phase in double still has the digits that count

std::int64_t padded(std::int64_t count) { return (count + kPadding - 1) / kPadding * kPadding; }

std::size_t size(std::int64_t count) { return static_cast<std::size_t>(count); }

float first_bits(double value) {  // 12 of them, so that products with 12 others are exact
  int exponent = 0;
  const double fraction = std::frexp(value, &exponent);
  return static_cast<float>(std::ldexp(std::nearbyint(fraction * 4096.0) / 4096.0, exponent));
}

}  // namespace

void expect_finite(const char* what, const float* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (std::isfinite(values[i])) continue;
    throw std::invalid_argument(std::string(what) + "[" + std::to_string(i) + "] is " + std::to_string(values[i]) +
                                ": expected a finite number");
  }
}

void expect_scales(const char* what, const float* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (std::isfinite(values[i]) && values[i] > 0.0F) continue;
    throw std::invalid_argument(std::string(what) + "[" + std::to_string(i) + "] is " + std::to_string(values[i]) +
                                ": expected a finite number above 0");
  }
}

QuantizedPlan::QuantizedPlan(const QuantizedConstants& constants, const SeedRange& seeds)
    : normalize_(constants.normalize), activation_(constants.activation), scale_out_(constants.scale_out) {
  const std::int64_t S = constants.seed_channels;
  const std::int64_t G = constants.generated;
  expect_scales("y_scale", &constants.scale_out, 1);
  expect_finite("period", constants.period, G);
  expect_finite("shift", constants.shift, G);
  if (constants.scale != nullptr) expect_finite("scale", constants.scale, S + G);
  if (constants.offset != nullptr) expect_finite("offset", constants.offset, S + G);
  if (constants.source == nullptr && G > S) {
    throw std::invalid_argument(std::to_string(G) + " generated maps of " + std::to_string(S) +
                                " seed maps: give source, which says what each one reads");
  }
  for (std::int64_t c = 0; c < S; ++c) source_.push_back(static_cast<std::int32_t>(c));
  for (std::int64_t g = 0; g < G; ++g) {
    const std::int64_t seed = constants.source == nullptr ? g : constants.source[g];
    if (seed < 0 || seed >= S) {
      throw std::invalid_argument("source[" + std::to_string(g) + "] is " + std::to_string(seed) +
                                  ": expected a seed map, 0 to " + std::to_string(S - 1));
    }
    source_.push_back(static_cast<std::int32_t>(seed));
  }
  period_.assign(constants.period, constants.period + G);
  shift_.assign(constants.shift, constants.shift + G);
  scale_.assign(size(S + G), 1.0);
  offset_.assign(size(S + G), 0.0);
  if (constants.scale != nullptr) std::copy_n(constants.scale, S + G, scale_.begin());
  if (constants.offset != nullptr) std::copy_n(constants.offset, S + G, offset_.begin());
  tail_.seeds = S;
  tail_.channels = S + G;
  tail_.pitch = padded(S) + kPadding;
  tail_.normalize = normalize_ == QuantizedNormalize::l2 || normalize_ == QuantizedNormalize::rms;
  tail_.zero_point = constants.zero_point_out;
  find_runs();
  make_fast(seeds);
}

void QuantizedPlan::find_runs() {
  const auto S = size(tail_.seeds);
  for (std::size_t c = S; c < source_.size(); ++c) {
    if (!runs_.empty() && runs_.back().from + runs_.back().count == source_[c]) {
      ++runs_.back().count;
      continue;
    }
    const std::int64_t start = runs_.empty() ? 0 : runs_.back().constants + padded(runs_.back().count);
    runs_.push_back({source_[c], static_cast<std::int64_t>(c), 1, start});
  }
}

// The constants in float32. A normalised y has no unit, so the kernels get it in one in which no square overflows or
// vanishes.
void QuantizedPlan::make_fast(const SeedRange& seeds) {
  double largest = 0.0;
  double smallest = DBL_MAX;
  for (std::size_t s = 0; s < seeds.factor.size(); ++s) {
    largest = std::max(largest, seeds.factor[s] * seeds.largest[s] + std::fabs(seeds.bias[s]));
    smallest = std::min(smallest, seeds.factor[s]);
  }
  fast_ = scale_out_ * kMostOutput > 1.0 && scale_out_ < kMostOutput;
  if (tail_.normalize && largest > 0.0) {
    unit_ = seeds.unit > 0.0 ? seeds.unit : std::ldexp(1.0, -std::ilogb(largest));
    fast_ = fast_ && largest <= kWidestRange * smallest;
  }
  const double gain = normalize_ == QuantizedNormalize::rms ? std::sqrt(static_cast<double>(tail_.seeds)) : 1.0;
  const double y_most = tail_.normalize ? gain : normalize_ == QuantizedNormalize::clamp ? 1.0 : largest;
  fast_ = fast_ && y_most < kMostOutput;
  const auto in_steps = [&](double value) {
    const double steps = value / scale_out_;
    fast_ = fast_ && std::fabs(steps) * std::max(y_most, 1.0) < kMostOutput;
    return static_cast<float>(fast_ ? steps : 0.0);
  };
  auto& [scale, offset, rate, rate_rest, phase, sine_scale, sine_offset] = arrays_;
  scale.assign(size(padded(tail_.seeds)), 0.0F);
  offset = scale;
  for (std::size_t s = 0; s < size(tail_.seeds); ++s) {
    scale[s] = in_steps(scale_[s]);
    offset[s] = in_steps(offset_[s]);
  }
  const std::int64_t room = runs_.empty() ? 0 : runs_.back().constants + padded(runs_.back().count);
  for (auto* array : {&rate, &rate_rest, &phase, &sine_scale, &sine_offset}) array->assign(size(room), 0.0F);
  for (const Run& run : runs_) {
    for (std::int64_t i = 0; i < run.count; ++i) {
      const auto channel = size(run.into + i);
      const auto map = channel - size(tail_.seeds);
      const auto at = size(run.constants + i);
      const double turn = period_[map] / kPi;
      const double start = period_[map] * shift_[map] / kPi;
      fast_ = fast_ && std::fabs(turn) * y_most <= kMostHalfTurns && std::fabs(turn) < kMostPhase &&
              std::fabs(start) < kMostPhase;
      rate[at] = first_bits(turn);
      rate_rest[at] = static_cast<float>(turn - static_cast<double>(rate[at]));
      phase[at] = static_cast<float>(start - 2.0 * std::nearbyint(start / 2.0));
      sine_scale[at] = in_steps(scale_[channel]);
      sine_offset[at] = in_steps(offset_[channel]);
    }
  }
  tail_.run_count = static_cast<std::int64_t>(runs_.size());
  tail_.runs = runs_.data();
  tail_.gain = static_cast<float>(gain);
  tail_.least_norm = static_cast<float>(std::clamp(kLeastQuantizedNorm * unit_, 1.0 / kMostOutput, kMostOutput));
  tail_.clamp = normalize_ == QuantizedNormalize::clamp;
  tail_.scale = scale.data();
  tail_.offset = offset.data();
  tail_.rate = rate.data();
  tail_.rate_rest = rate_rest.data();
  tail_.phase = phase.data();
  tail_.sine_scale = sine_scale.data();
  tail_.sine_offset = sine_offset.data();
  tail_.hardswish = activation_ == Activation::hardswish;
  tail_.gate = static_cast<float>(scale_out_ / 6.0);
  const bool from_zero = activation_ == Activation::relu || activation_ == Activation::relu6;
  tail_.lowest = from_zero ? 0.0F : static_cast<float>(-tail_.zero_point);
  tail_.highest = static_cast<float>(255 - tail_.zero_point);
  if (activation_ == Activation::relu6) {
    tail_.highest = std::min(tail_.highest, static_cast<float>(std::min(6.0 / scale_out_, 1e6)));
  }
}

std::uint8_t QuantizedPlan::exact_value(std::int64_t channel, double y) const {
  const auto c = size(channel);
  double value = y;
  if (channel >= tail_.seeds) {
    const auto map = c - size(tail_.seeds);
    value = std::sin(period_[map] * (y - shift_[map]));
  }
  value = scale_[c] * value + offset_[c];
  if (activation_ == Activation::relu || activation_ == Activation::relu6) value = std::max(value, 0.0);
  if (activation_ == Activation::relu6) value = std::min(value, 6.0);
  if (activation_ == Activation::hardswish) value *= std::clamp(value / 6.0 + 0.5, 0.0, 1.0);
  const double steps = std::clamp(value / scale_out_, -256.0, 256.0);
  return static_cast<std::uint8_t>(std::clamp(std::nearbyint(steps) + tail_.zero_point, 0.0, 255.0));
}

void QuantizedPlan::exact(double* y, std::uint8_t* out) const {
  const auto S = size(tail_.seeds);
  if (tail_.normalize) {
    double sum = 0.0;
    for (std::size_t s = 0; s < S; ++s) sum += y[s] * y[s];
    const double norm = std::max(std::sqrt(sum), kLeastQuantizedNorm);
    const double gain = normalize_ == QuantizedNormalize::rms ? std::sqrt(static_cast<double>(S)) : 1.0;
    for (std::size_t s = 0; s < S; ++s) y[s] = y[s] / norm * gain;
  }
  if (normalize_ == QuantizedNormalize::clamp) {
    for (std::size_t s = 0; s < S; ++s) y[s] = std::clamp(y[s], -1.0, 1.0);
  }
  for (std::int64_t c = 0; c < tail_.channels; ++c) out[c] = exact_value(c, y[source_[size(c)]]);
}

}  // namespace groupnl
