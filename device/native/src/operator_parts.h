// What the operators have in common on ONNX Runtime's side: a node's inputs and output, its threads, its table of
// functions.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "kernels.h"
#include "pool.h"
#include "runtime_api.h"
#include "sparse_convolution.h"

namespace groupnl {

constexpr std::uint32_t kApiVersion = 17;  // the first with KernelContext_ParallelFor: ONNX Runtime 1.17

struct Input {
  ONNXTensorElementDataType type;
  bool optional = false;
};

struct Signature {
  const char* op;
  std::vector<Input> inputs;
  ONNXTensorElementDataType output;
};

inline Activation activation_of(const std::string& name) {
  if (name == "none") return Activation::none;
  if (name == "relu") return Activation::relu;
  if (name == "relu6") return Activation::relu6;
  if (name == "hardswish") return Activation::hardswish;
  throw std::invalid_argument("activation=\"" + name + "\": expected none, relu, relu6 or hardswish");
}

// The runtime's own threads.
class RuntimePool final : public Pool {
 public:
  RuntimePool(const OrtApi& api, const OrtKernelContext* context) : api_(api), context_(context) {}

  void run(Task task, void* data, std::size_t count) override {
    check(api_, api_.KernelContext_ParallelFor(context_, task, count, 0, data));
  }

 private:
  const OrtApi& api_;
  const OrtKernelContext* context_;
};

// The inputs and the output of one run of a node. Messages throw std::invalid_argument.
class Call {
 public:
  Call(const OrtApi& api, OrtKernelContext* context) : api_(api), context_(context) {}

  RuntimePool pool() const { return {api_, context_}; }

  Tensor input(std::size_t index) const {
    std::size_t count = 0;
    check(api_, api_.KernelContext_GetInputCount(context_, &count));
    if (index >= count) return {};
    const OrtValue* value = nullptr;
    check(api_, api_.KernelContext_GetInput(context_, index, &value));
    return read(api_, value);
  }

  Tensor maps(std::size_t index, const char* what) const {
    Tensor tensor = input(index);
    if (tensor.shape.size() != 4) {
      throw std::invalid_argument(std::string(what) + " of shape " + text_of(tensor.shape) +
                                  ": expected four dimensions");
    }
    return tensor;
  }

  // An input of `count` values; absent where it is optional and left out.
  Tensor values(std::size_t index, const char* what, std::int64_t count, bool optional = false) const {
    Tensor tensor = input(index);
    if (tensor.count != count && (tensor.present || !optional)) {
      throw std::invalid_argument(std::string(what) + " has " + std::to_string(tensor.count) + " values: expected " +
                                  std::to_string(count));
    }
    return tensor;
  }

  template <class Element>
  Element* output(const std::array<std::int64_t, 4>& shape) const {
    OrtValue* value = nullptr;
    check(api_, api_.KernelContext_GetOutput(context_, 0, shape.data(), shape.size(), &value));
    void* data = nullptr;
    check(api_, api_.GetTensorMutableData(value, &data));
    return static_cast<Element*>(data);
  }

 private:
  const OrtApi& api_;
  OrtKernelContext* context_;
};

// Whether the inputs from `first` on are constants or left out.
inline bool are_constant(const OrtApi& api, const OrtKernelInfo* info, std::size_t first) {
  std::size_t count = 0;
  check(api, api.KernelInfo_GetInputCount(info, &count));
  for (std::size_t index = first; index < count; ++index) {
    std::size_t length = 0;
    check(api, api.KernelInfo_GetInputName(info, index, nullptr, &length));
    if (length <= 1) continue;  // no name, only its end: the input is left out
    int found = 0;
    const OrtValue* value = nullptr;
    check(api, api.KernelInfoGetConstantInput_tensor(info, index, &found, &value));
    if (found == 0) return false;
  }
  return true;
}

// As in the operator Conv.
class WindowAttributes {
 public:
  WindowAttributes(const OrtApi& api, const OrtKernelInfo* info)
      : strides_(numbers_attribute(api, info, "strides", {1, 1})),
        pads_(numbers_attribute(api, info, "pads", {0, 0, 0, 0})),  // top, left, bottom, right
        dilations_(numbers_attribute(api, info, "dilations", {1, 1})) {}

  Window rows(std::int64_t in, std::int64_t kernel) const {
    return {in, kernel, strides_[0], dilations_[0], pads_[0], pads_[2]};
  }

  Window columns(std::int64_t in, std::int64_t kernel) const {
    return {in, kernel, strides_[1], dilations_[1], pads_[1], pads_[3]};
  }

 private:
  std::vector<std::int64_t> strides_;
  std::vector<std::int64_t> pads_;
  std::vector<std::int64_t> dilations_;
};

// What a node makes of its constants: made once for a number of seed maps where they never change, as in every
// exported net, else in each run.
template <class Made>
class Kept {
 public:
  explicit Kept(bool constant) : constant_(constant) {}

  template <class Make>
  std::shared_ptr<const Made> get(std::int64_t seed_channels, const Make& make) {
    if (!constant_) return make();
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!made_ || seed_channels_ != seed_channels) made_ = make();
    seed_channels_ = seed_channels;
    return made_;
  }

 private:
  bool constant_;
  std::mutex mutex_;
  std::int64_t seed_channels_ = 0;
  std::shared_ptr<const Made> made_;
};

// The table of functions that stands for an operator. Kernel: made of (api, info), has compute(const Call&).
template <class Kernel>
struct Operator : OrtCustomOp {
  const Signature signature;

  explicit Operator(Signature signature_) : OrtCustomOp{}, signature(std::move(signature_)) {
    version = kApiVersion;
    GetName = [](const OrtCustomOp* op) { return self(op).op; };
    GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };
    GetInputTypeCount = [](const OrtCustomOp* op) { return self(op).inputs.size(); };
    GetInputType = [](const OrtCustomOp* op, std::size_t index) { return self(op).inputs[index].type; };
    GetInputCharacteristic = [](const OrtCustomOp* op, std::size_t index) {
      return self(op).inputs[index].optional ? INPUT_OUTPUT_OPTIONAL : INPUT_OUTPUT_REQUIRED;
    };
    GetInputMemoryType = [](const OrtCustomOp*, std::size_t) { return OrtMemTypeDefault; };
    GetOutputTypeCount = [](const OrtCustomOp*) { return std::size_t{1}; };
    GetOutputType = [](const OrtCustomOp* op, std::size_t) { return self(op).output; };
    GetOutputCharacteristic = [](const OrtCustomOp*, std::size_t) { return INPUT_OUTPUT_REQUIRED; };
    GetVariadicInputMinArity = [](const OrtCustomOp*) { return 0; };
    GetVariadicInputHomogeneity = [](const OrtCustomOp*) { return 0; };
    GetVariadicOutputMinArity = [](const OrtCustomOp*) { return 0; };
    GetVariadicOutputHomogeneity = [](const OrtCustomOp*) { return 0; };
    CreateKernelV2 = [](const OrtCustomOp* op, const OrtApi* api, const OrtKernelInfo* info, void** kernel) {
      const char* name = self(op).op;
      return guarded(*api, name, [&] { *kernel = new State{*api, name, {*api, info}}; });
    };
    KernelComputeV2 = [](void* state, OrtKernelContext* context) {
      auto& held = *static_cast<State*>(state);
      return guarded(held.api, held.name, [&] { held.kernel.compute(Call(held.api, context)); });
    };
    KernelDestroy = [](void* state) { delete static_cast<State*>(state); };
  }

 private:
  struct State {
    const OrtApi& api;
    const char* name;
    Kernel kernel;
  };

  static const Signature& self(const OrtCustomOp* op) { return static_cast<const Operator*>(op)->signature; }
};

}  // namespace groupnl
