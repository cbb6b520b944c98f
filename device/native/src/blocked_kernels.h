// The inner loops on maps in blocks of channels, ONNX Runtime's own layout on the CPU: (N, C / b, H, W, b), b = 8 or
// 16, the last block filled up with zeros. Compiled once for each instruction set, as those of kernels.h.
#pragma once

#include <cstdint>

#include "kernels.h"

namespace groupnl {

// How the lanes of a block of output channels follow from the normalised seed maps they read.
enum class Wave : int {
  affine,      // constants: scale, offset
  degree9,     // a polynomial; constants: its coefficients, the highest first
  degree11,
  half_turns,  // as Kernels::tail; constants: rate, rate_rest, phase, scale, offset, 1 where the lane is a sine else 0
};

struct LaneBlock {
  Wave wave;
  const float* constants;       // rows of b lanes
  std::int64_t lanes;           // that are channels; the others stay zero
  std::int64_t turn;            // lane l reads seed map from + l if l < turn, else then + l; -1: as `sources` says
  std::int64_t from;
  std::int64_t then;
  const std::int64_t* sources;  // by lane; -1: no channel
  const Sine* sines;            // by lane, for half_turns
  bool checked;                 // for half_turns: look for numbers that need the exact sine
};

struct Axis {  // rows or columns of a window, as Window
  std::int64_t in;
  std::int64_t kernel;
  std::int64_t stride;
  std::int64_t dilation;
  std::int64_t pad;
};

// The seed convolution of one block of seed maps: a depthwise convolution of one or two blocks of inputs, whose
// neighbouring lanes are then summed if there are two inputs to each seed map.
struct BlockedWindow {
  const float* x[2];       // by input block, the second may be null: (H, W, b)
  const float* weight[2];  // (kernel rows, kernel columns, b)
  const float* bias;       // b
  bool pairs;
  Axis rows;
  Axis columns;
  std::int64_t width;      // of the output
};

struct BlockedKernels {
  // Output rows begin to end - 1: seed maps to y[i * pitch + lane], their squares added to squares[i * b + lane], where
  // pixel i = 0 is the first of row `begin`.
  void (*convolve)(const BlockedWindow& window, std::int64_t begin, std::int64_t end, float* y, std::int64_t pitch,
                   float* squares);

  // The same for seed maps that are at hand: `lanes` of the block are channels, the others become zero.
  void (*copy)(const float* x, std::int64_t lanes, float* y, std::int64_t pitch, float* squares, std::int64_t pixels);

  // inverse[i] = gain / max(|y|_2, 1e-12) of each pixel's seed maps y[i * pitch + 0 .. seed_channels - 1].
  void (*inverse_norms)(const float* squares, float gain, const float* y, std::int64_t pitch,
                        std::int64_t seed_channels, float* inverse, std::int64_t pixels);

  // One block of output channels of all pixels, one after the other; pixel i's seed maps are y[i * pitch ...] times
  // inverse[i]. Numbers up to b before `y` and behind its end are read, and not used. `spare`: b floats for each pixel.
  void (*expand)(const LaneBlock& block, Activation activation, const float* y, std::int64_t pitch,
                 const float* inverse, float* spare, float* out, std::int64_t pixels);

  // Two blocks at once that read the same lanes: seed maps, and a polynomial of them.
  void (*expand_pair)(const LaneBlock& seeds, const LaneBlock& block, Activation activation, const float* y,
                      std::int64_t pitch, const float* inverse, float* seed_out, float* out, std::int64_t pixels);

  // out[i * b + lane] = x[i * b + lane] * gate[lane].
  void (*gate)(const float* x, const float* gate, float* out, std::int64_t pixels);
};

// For blocks of 8 or 16 channels, chosen as kernels().
const BlockedKernels& blocked_kernels(std::int64_t block);

}  // namespace groupnl
