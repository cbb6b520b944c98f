// Compiled several times like kernels.cpp, and under the same rule: nothing here comes from a shared header.
#include "quantized_kernels.h"

#include <math.h>
#include <string.h>

#if defined(__SSE2__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define GROUPNL_TEXT_(name) #name
#define GROUPNL_TEXT(name) GROUPNL_TEXT_(name)
#define GROUPNL_JOIN_(a, b) a##b
#define GROUPNL_JOIN(a, b) GROUPNL_JOIN_(a, b)

namespace groupnl {
namespace {

using std::int16_t;
using std::int32_t;
using std::int64_t;
using std::uint32_t;
using std::uint8_t;

#if defined(__AVX512BW__)
constexpr int64_t kLanes = 16;
#elif defined(__AVX2__)
constexpr int64_t kLanes = 8;
#else
constexpr int64_t kLanes = 4;
#endif

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef uint8_t Bytes __attribute__((vector_size(kLanes)));
typedef uint8_t BytePairs __attribute__((vector_size(2 * kLanes)));
typedef int16_t WordPairs __attribute__((vector_size(4 * kLanes)));

// sin(pi f) = f P(f^2) for |f| <= 1/2: the polynomial of degree 7 with the least largest error, 5.9e-7 (Remez's
// exchange in 40 digits); below a ten-thousandth of a step where the sine spans all of uint8.
constexpr float kSine[] = {3.1415820121765137F, -5.167142868041992F, 2.5418989658355713F, -0.5546361804008484F};
constexpr float kRounder = 12582912.0F;  // 1.5 * 2^23: adding it rounds to the nearest integer, the even one of two

template <class Vector>
inline Vector load(const void* from) {
  Vector value;
  memcpy(&value, from, sizeof value);
  return value;
}

inline Floats floats_at(const float* from) { return load<Floats>(from); }

inline Ints bits_of(Floats value) { return load<Ints>(&value); }

inline Floats floats_of(Ints bits) { return load<Floats>(&bits); }

inline Floats clip(Floats value, Floats low, Floats high) {
  value = value < low ? low : value;
  return value > high ? high : value;
}

// Between bytes and 32 bits; for ARM spelt out, since the compiler takes them one by one there.
inline Ints ints_from(const uint8_t* from) {
#if defined(__aarch64__)
  const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(load<uint32_t>(from)));
  return reinterpret_cast<Ints>(vmovl_u16(vget_low_u16(vmovl_u8(bytes))));
#else
  return __builtin_convertvector(load<Bytes>(from), Ints);
#endif
}

inline Bytes lowest_bytes(Ints values) {
#if defined(__aarch64__)
  const uint16x4_t halves = vmovn_u32(reinterpret_cast<uint32x4_t>(values));
  const uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(vcombine_u16(halves, halves))), 0);
  return load<Bytes>(&bytes);
#else
  return __builtin_convertvector(values, Bytes);
#endif
}

inline Floats floats_from(const uint8_t* from, int32_t zero_point) {
  return __builtin_convertvector(ints_from(from) - zero_point, Floats);
}

// The lowest byte of each number, of the first `count` if they are fewer.
inline void store_bytes(uint8_t* to, Ints value, int64_t count) {
  const Bytes bytes = lowest_bytes(value);
  if (count >= kLanes) {
    memcpy(to, &bytes, sizeof bytes);
    return;
  }
  uint8_t some[kLanes];
  memcpy(some, &bytes, sizeof bytes);
  int64_t done = 0;
  for (int64_t piece = kLanes / 2; piece > 0; piece /= 2) {
    if ((count & piece) == 0) continue;
    memcpy(to + done, some + done, static_cast<size_t>(piece));
    done += piece;
  }
}

// Where a block of kLanes begins among `count` numbers: the last one ends where they end, over part of the one before.
inline int64_t block_at(int64_t start, int64_t count) {
  if (start + kLanes <= count) return start;
  return count < kLanes ? 0 : count - kLanes;
}

inline Floats sine(Floats y, Floats rate, Floats rate_rest, Floats phase) {
#ifdef __FP_FAST_FMAF
  const Floats rest = y * rate_rest - phase;
  const Floats shifted = (y * rate + rest) + kRounder;
  const Floats whole = shifted - kRounder;
  const Floats part = (y * rate - whole) + rest;
#else  // y in two parts, so that its products with the 12 bits of `rate` are exact
  const Floats high = floats_of(bits_of(y) & ~0xFFF);
  const Floats rest = (y - high) * rate + (y * rate_rest - phase);
  const Floats shifted = (high * rate + rest) + kRounder;
  const Floats whole = shifted - kRounder;
  const Floats part = (high * rate - whole) + rest;
#endif
  const Floats square = part * part;
  Floats value = square * kSine[3] + kSine[2];
  value = value * square + kSine[1];
  value = value * square + kSine[0];
  return floats_of(bits_of(value * part) ^ (bits_of(shifted) << 31));
}

template <bool clamp>
inline Floats clamped(Floats y) {
  return clamp ? clip(y, Floats{} - 1.0F, Floats{} + 1.0F) : y;
}

struct End {  // from a map's value in steps to its byte
  explicit End(const QuantizedTail& tail)
      : gate(Floats{} + tail.gate),
        lowest(Floats{} + tail.lowest),
        highest(Floats{} + tail.highest),
        zero_point(Ints{} + tail.zero_point) {}

  template <bool hardswish>
  Ints of(Floats value) const {
    if (hardswish) value = value * clip(value * gate + 0.5F, Floats{}, Floats{} + 1.0F);
    return bits_of(clip(value, lowest, highest) + kRounder) + zero_point;
  }

  Floats gate;
  Floats lowest;
  Floats highest;
  Ints zero_point;
};

inline float sum_of_lanes(Floats values) {
  typedef float Quad __attribute__((vector_size(16)));
  Quad quads[kLanes / 4];
  memcpy(quads, &values, sizeof quads);
  for (int64_t half = kLanes / 8; half > 0; half /= 2) {
    for (int64_t i = 0; i < half; ++i) quads[i] += quads[i + half];
  }
  return (quads[0][0] + quads[0][2]) + (quads[0][1] + quads[0][3]);
}

// gain / max(|y|_2, least norm); y ends in zeros.
inline float inverse_norm(const QuantizedTail& tail, const float* y) {
  Floats squares{};
  for (int64_t s = 0; s < tail.seeds; s += kLanes) {
    const Floats some = floats_at(y + s);
    squares += some * some;
  }
  const float norm = sqrtf(sum_of_lanes(squares));
  return tail.gain / (norm < tail.least_norm ? tail.least_norm : norm);
}

// All output channels of some pixels, at most kPixelsTogether.
template <bool hardswish, bool clamp>
void finish(const QuantizedTail& given, const float* y, uint8_t* out, int64_t pixels) {
  const QuantizedTail tail = given;  // which no store can change
  const End end(tail);
  float inverse[kPixelsTogether];
  for (int64_t p = 0; p < pixels; ++p) inverse[p] = tail.normalize ? inverse_norm(tail, y + p * tail.pitch) : 1.0F;
  for (int64_t start = 0; start < tail.seeds; start += kLanes) {
    const int64_t s = block_at(start, tail.seeds);
    const Floats scale = floats_at(tail.scale + s);
    const Floats offset = floats_at(tail.offset + s);
    for (int64_t p = 0; p < pixels; ++p) {
      const Floats unit = clamped<clamp>(floats_at(y + p * tail.pitch + s) * inverse[p]);
      store_bytes(out + p * tail.channels + s, end.of<hardswish>(unit * scale + offset), tail.seeds);
    }
  }
  for (int64_t r = 0; r < tail.run_count; ++r) {
    const Run run = tail.runs[r];
    for (int64_t start = 0; start < run.count; start += kLanes) {
      const int64_t i = block_at(start, run.count);
      const int64_t at = run.constants + i;
      const Floats rate = floats_at(tail.rate + at);
      const Floats rate_rest = floats_at(tail.rate_rest + at);
      const Floats phase = floats_at(tail.phase + at);
      const Floats scale = floats_at(tail.sine_scale + at);
      const Floats offset = floats_at(tail.sine_offset + at);
      const float* seeds = y + run.from + i;
      uint8_t* to = out + run.into + i;
      for (int64_t p = 0; p < pixels; ++p) {
        const Floats unit = clamped<clamp>(floats_at(seeds + p * tail.pitch) * inverse[p]);
        const Floats wave = sine(unit, rate, rate_rest, phase);
        store_bytes(to + p * tail.channels, end.of<hardswish>(wave * scale + offset), run.count);
      }
    }
  }
}

void finish(const QuantizedTail& tail, const float* y, uint8_t* out, int64_t pixels) {
  if (tail.hardswish && tail.clamp) return finish<true, true>(tail, y, out, pixels);
  if (tail.hardswish) return finish<true, false>(tail, y, out, pixels);
  if (tail.clamp) return finish<false, true>(tail, y, out, pixels);
  return finish<false, false>(tail, y, out, pixels);
}

void expand(const QuantizedTail& tail, const uint8_t* in, int32_t in_zero_point, uint8_t* out, int64_t pixels,
            float* y) {
  for (int64_t done = 0; done < pixels; done += kPixelsTogether) {
    const int64_t some = pixels - done < kPixelsTogether ? pixels - done : kPixelsTogether;
    for (int64_t p = 0; p < some; ++p) {
      const uint8_t* from = in + (done + p) * tail.seeds;
      float* to = y + p * tail.pitch;
      if (tail.seeds < kLanes) {
        for (int64_t s = 0; s < tail.seeds; ++s) to[s] = static_cast<float>(from[s] - in_zero_point);
        continue;
      }
      for (int64_t start = 0; start < tail.seeds; start += kLanes) {
        const int64_t s = block_at(start, tail.seeds);
        const Floats value = floats_from(from + s, in_zero_point);
        memcpy(to + s, &value, sizeof value);
      }
    }
    finish(tail, y, out + done * tail.channels, some);
  }
}

#if defined(__AVX512VNNI__)

// Weights, and the sums of products with what lies at two addresses: two terms at once, four products a lane.
typedef __m512i Weights;
constexpr int kTerms = 2;

inline Weights weights_at(const PairSums& sums, int64_t step, int64_t s) {
  return _mm512_loadu_si512(sums.quads + 4 * (step * sums.seeds + s));
}

inline Ints added(Ints sum, const uint8_t* const* from, int64_t at, Weights weights) {
  const __m512i a = _mm512_castsi256_si512(load<__m256i>(from[0] + at));
  const __m512i b = _mm512_castsi256_si512(load<__m256i>(from[1] + at));
  const __m512i in_turns = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6,
                                            37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i pairs = _mm512_permutex2var_epi16(a, in_turns, b);
  return reinterpret_cast<Ints>(_mm512_dpbusd_epi32(reinterpret_cast<__m512i>(sum), pairs, weights));
}

#else

// Weights, and the sums of products with what lies at one address: one term, two products a lane, by the
// instructions that the compiler does not find by itself.
typedef WordPairs Weights;
constexpr int kTerms = 1;

inline Weights weights_at(const PairSums& sums, int64_t step, int64_t s) {
  return load<WordPairs>(sums.weight + 2 * (step * sums.seeds + s));
}

inline Ints added(Ints sum, const uint8_t* const* from, int64_t at, Weights weights) {
  const uint8_t* x = from[0] + at;
#if defined(__AVX512BW__)
  const __m512i words = _mm512_cvtepu8_epi16(load<__m256i>(x));
  return sum + reinterpret_cast<Ints>(_mm512_madd_epi16(words, reinterpret_cast<__m512i>(weights)));
#elif defined(__AVX2__)
  const __m256i words = _mm256_cvtepu8_epi16(load<__m128i>(x));
  return sum + reinterpret_cast<Ints>(_mm256_madd_epi16(words, reinterpret_cast<__m256i>(weights)));
#elif defined(__SSE2__)
  const __m128i words = reinterpret_cast<__m128i>(__builtin_convertvector(load<BytePairs>(x), WordPairs));
  return sum + reinterpret_cast<Ints>(_mm_madd_epi16(words, reinterpret_cast<__m128i>(weights)));
#elif defined(__aarch64__)
  const int16x8_t words = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(x)));
  const int16x8_t others = reinterpret_cast<int16x8_t>(weights);
  const int32x4_t low = vmull_s16(vget_low_s16(words), vget_low_s16(others));
  return sum + reinterpret_cast<Ints>(vpaddq_s32(low, vmull_high_s16(words, others)));
#else
  for (int64_t lane = 0; lane < kLanes; ++lane) {
    sum[lane] += x[2 * lane] * weights[2 * lane] + x[2 * lane + 1] * weights[2 * lane + 1];
  }
  return sum;
#endif
}

#endif

// Seed maps s to s + kLanes - 1 of some pixels. `terms`: their number where the compiler knows it, then it keeps all
// weights in registers, or 0.
template <int terms>
inline void sum_block(const PairSums& given, const uint8_t* const* rows, int64_t step, int64_t s, float* y,
                      int64_t pitch, int64_t pixels) {
  const PairSums sums = given;
  const Ints base = load<Ints>(sums.base + s);
  const Floats factor = floats_at(sums.factor + s);
  const Floats bias = floats_at(sums.bias + s);
  constexpr int steps = (terms + kTerms - 1) / kTerms;
  Weights weights[steps + 1];
  const uint8_t* from[steps * kTerms + 1];
  for (int t = 0; t < steps; ++t) weights[t] = weights_at(sums, t, s);
  for (int t = 0; t < steps * kTerms; ++t) from[t] = rows[t];
  const int64_t all_steps = (sums.terms + kTerms - 1) / kTerms;
  for (int64_t p = 0; p < pixels; ++p) {
    const int64_t at = p * step + 2 * s;
    Ints sum = base;
    if (terms > 0) {
      for (int t = 0; t < steps; ++t) sum = added(sum, from + t * kTerms, at, weights[t]);
    } else {
      for (int64_t t = 0; t < all_steps; ++t) sum = added(sum, rows + t * kTerms, at, weights_at(sums, t, s));
    }
    const Floats value = __builtin_convertvector(sum, Floats) * factor + bias;
    memcpy(y + p * pitch + s, &value, sizeof value);
  }
}

void sparse_expand(const QuantizedTail& tail, const PairSums& sums, const uint8_t* const* rows, int64_t step,
                   uint8_t* out, int64_t pixels, float* y, const uint8_t** moved) {
  for (int64_t done = 0; done < pixels; done += kPixelsTogether) {
    const int64_t some = pixels - done < kPixelsTogether ? pixels - done : kPixelsTogether;
    for (int64_t t = 0; t < sums.terms; ++t) moved[t] = rows[t] + done * step;
    moved[sums.terms] = moved[sums.terms - 1];  // weighted with zeros where terms are taken in twos
    for (int64_t start = 0; start < sums.seeds; start += kLanes) {
      const int64_t s = block_at(start, sums.seeds);
      switch (sums.terms) {
        case 9: sum_block<9>(sums, moved, step, s, y, tail.pitch, some); break;
        case 25: sum_block<25>(sums, moved, step, s, y, tail.pitch, some); break;
        default: sum_block<0>(sums, moved, step, s, y, tail.pitch, some); break;
      }
    }
    finish(tail, y, out + done * tail.channels, some);
  }
}

}  // namespace

extern const QuantizedKernels GROUPNL_JOIN(quantized_kernels_, GROUPNL_ISA);
const QuantizedKernels GROUPNL_JOIN(quantized_kernels_, GROUPNL_ISA) = {GROUPNL_TEXT(GROUPNL_ISA), expand,
                                                                        sparse_expand};

}  // namespace groupnl
