// The tail of a layer as a node describes it: two attributes, and the five inputs period, shift, source, scale, offset.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "operator_parts.h"
#include "tail_plan.h"

namespace groupnl {

constexpr ONNXTensorElementDataType kFloat = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;
constexpr ONNXTensorElementDataType kInt64 = ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64;

inline Normalize normalize_of(const std::string& name) {
  if (name == "none") return Normalize::none;
  if (name == "l2") return Normalize::l2;
  if (name == "rms") return Normalize::rms;
  throw std::invalid_argument("normalize=\"" + name + "\": expected none, l2 or rms");
}

// The tail of a layer: its attributes, and the five inputs from `first` on.
class TailOf {
 public:
  TailOf(const OrtApi& api, const OrtKernelInfo* info, std::size_t first)
      : first_(first),
        normalize_(normalize_of(text_attribute(api, info, "normalize", "l2"))),
        activation_(activation_of(text_attribute(api, info, "activation", "none"))),
        kept_(are_constant(api, info, first)) {}

  std::shared_ptr<const TailPlan> plan(const Call& call, std::int64_t seed_channels) {
    return kept_.get(seed_channels, [&] {
      const Tensor period = call.input(first_);
      const std::int64_t generated = period.count;
      const std::int64_t channels = seed_channels + generated;
      const Tensor shift = call.values(first_ + 1, "shift", generated);
      const Tensor source = call.values(first_ + 2, "source", generated, true);
      const Tensor scale = call.values(first_ + 3, "scale", channels, true);
      const Tensor offset = call.values(first_ + 4, "offset", channels, true);
      return std::make_shared<const TailPlan>(seed_channels, generated, period.floats(), shift.floats(),
                                              static_cast<const std::int64_t*>(source.data), scale.floats(),
                                              offset.floats(), normalize_, activation_);
    });
  }

 private:
  std::size_t first_;
  Normalize normalize_;
  Activation activation_;
  Kept<TailPlan> kept_;
};

inline std::vector<Input> with_tail(std::vector<Input> leading) {
  for (const Input& input : {Input{kFloat}, {kFloat}, {kInt64, true}, {kFloat, true}, {kFloat, true}}) {
    leading.push_back(input);
  }
  return leading;
}

}  // namespace groupnl
