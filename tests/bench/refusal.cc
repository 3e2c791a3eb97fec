#include "refusal.h"

namespace hongyan::bench {

v1::Error ErrorOf(const sdk::Answer& answer) {
  v1::Error error;
  if (!error.ParseFromArray(answer.payload.data(), static_cast<int>(answer.payload.size()))) {
    error.set_code(v1::INTERNAL);
    error.set_text("an error that cannot be read");
  }
  return error;
}

std::string Describe(const v1::Error& error) {
  return v1::Code_Name(error.code()) + " " + v1::Reason_Name(error.reason()) + ": " + error.text();
}

bool MayPass(const v1::Error& error) {
  switch (error.code()) {
    case v1::UNAVAILABLE:
    case v1::RESOURCE_EXHAUSTED:
    case v1::ABORTED:
    case v1::DEADLINE_EXCEEDED:
      return true;
    default:
      return error.reason() == v1::BUSY;
  }
}

}  // namespace hongyan::bench
