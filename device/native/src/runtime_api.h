// ONNX Runtime's C API made convenient: exceptions inside, statuses at the border; tensors and attributes as values.
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "onnxruntime_c_api.h"

namespace groupnl {

// Throws what the status says, and releases it.
void check(const OrtApi& api, OrtStatus* status);

// Does the work, and gives its exception as a status that begins with the operator's name.
template <class Work>
OrtStatus* guarded(const OrtApi& api, const char* name, const Work& work) noexcept {
  OrtErrorCode code = ORT_FAIL;
  std::array<char, 512> text{};
  const auto keep = [&](OrtErrorCode which, const char* message) {
    code = which;
    std::snprintf(text.data(), text.size(), "groupnl.%s: %s", name, message);
  };
  try {
    work();
    return nullptr;
  } catch (const std::invalid_argument& error) {
    keep(ORT_INVALID_ARGUMENT, error.what());
  } catch (const std::exception& error) {
    keep(ORT_FAIL, error.what());
  } catch (...) {
    keep(ORT_FAIL, "an unknown error");
  }
  return api.CreateStatus(code, text.data());
}

struct Tensor {
  const void* data = nullptr;
  std::vector<std::int64_t> shape;
  std::int64_t count = 0;
  bool present = false;

  const float* floats() const { return static_cast<const float*>(data); }
};

// A view; of no value an absent tensor.
Tensor read(const OrtApi& api, const OrtValue* value);

std::string text_of(const std::vector<std::int64_t>& shape);

// Attributes of a node, or `otherwise` where it has none of that name. Numbers must be as many as in `otherwise`.
std::string text_attribute(const OrtApi& api, const OrtKernelInfo* info, const char* name, const char* otherwise);
std::int64_t number_attribute(const OrtApi& api, const OrtKernelInfo* info, const char* name, std::int64_t otherwise);
std::vector<std::int64_t> numbers_attribute(const OrtApi& api, const OrtKernelInfo* info, const char* name,
                                            std::vector<std::int64_t> otherwise);

}  // namespace groupnl
