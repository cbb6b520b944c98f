#include "runtime_api.h"

#include <memory>

namespace groupnl {

void check(const OrtApi& api, OrtStatus* status) {
  if (status == nullptr) return;
  const std::string message = api.GetErrorMessage(status);
  api.ReleaseStatus(status);
  throw std::runtime_error(message);
}

std::string text_of(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + ")";
}

Tensor read(const OrtApi& api, const OrtValue* value) {
  Tensor tensor;
  if (value == nullptr) return tensor;
  OrtTensorTypeAndShapeInfo* info = nullptr;
  check(api, api.GetTensorTypeAndShape(value, &info));
  const std::unique_ptr<OrtTensorTypeAndShapeInfo, decltype(api.ReleaseTensorTypeAndShapeInfo)> owner(
      info, api.ReleaseTensorTypeAndShapeInfo);
  std::size_t rank = 0;
  check(api, api.GetDimensionsCount(info, &rank));
  tensor.shape.resize(rank);
  check(api, api.GetDimensions(info, tensor.shape.data(), rank));
  tensor.count = 1;
  for (const std::int64_t extent : tensor.shape) tensor.count *= extent;
  void* data = nullptr;
  check(api, api.GetTensorMutableData(const_cast<OrtValue*>(value), &data));
  tensor.data = data;
  tensor.present = true;
  return tensor;
}

std::string text_attribute(const OrtApi& api, const OrtKernelInfo* info, const char* name, const char* otherwise) {
  std::size_t size = 0;
  if (OrtStatus* status = api.KernelInfoGetAttribute_string(info, name, nullptr, &size)) {
    api.ReleaseStatus(status);
    return otherwise;
  }
  std::vector<char> text(size + 1, '\0');
  check(api, api.KernelInfoGetAttribute_string(info, name, text.data(), &size));
  return text.data();
}

std::int64_t number_attribute(const OrtApi& api, const OrtKernelInfo* info, const char* name, std::int64_t otherwise) {
  std::int64_t number = 0;
  if (OrtStatus* status = api.KernelInfoGetAttribute_int64(info, name, &number)) {
    api.ReleaseStatus(status);
    return otherwise;
  }
  return number;
}

std::vector<std::int64_t> numbers_attribute(const OrtApi& api, const OrtKernelInfo* info, const char* name,
                                            std::vector<std::int64_t> otherwise) {
  std::size_t size = 0;
  if (OrtStatus* status = api.KernelInfoGetAttributeArray_int64(info, name, nullptr, &size)) {
    api.ReleaseStatus(status);
    return otherwise;
  }
  if (size != otherwise.size()) {
    throw std::invalid_argument(std::string(name) + " has " + std::to_string(size) + " numbers: expected " +
                                std::to_string(otherwise.size()));
  }
  check(api, api.KernelInfoGetAttributeArray_int64(info, name, otherwise.data(), &size));
  return otherwise;
}

}  // namespace groupnl
