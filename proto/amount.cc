#include "proto/amount.h"

namespace hongyan::proto {
namespace {

constexpr size_t kYuanDigits = 13;
constexpr size_t kFenDigits = 2;

}  // namespace

std::optional<int64_t> ParseYuan(std::string_view text) {
  const size_t point = text.find('.');
  const std::string_view yuan = text.substr(0, point);
  std::string fen(point == std::string_view::npos ? "0" : text.substr(point + 1));
  const auto digits = [](std::string_view part, size_t most) {
    return !part.empty() && part.size() <= most &&
           part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  if (!digits(yuan, kYuanDigits) || !digits(fen, kFenDigits)) return std::nullopt;
  fen.resize(kFenDigits, '0');
  const int64_t amount = std::stoll(std::string(yuan)) * 100 + std::stoll(fen);
  if (amount == 0) return std::nullopt;
  return amount;
}

std::string YuanText(int64_t fen) {
  const uint64_t size = fen < 0 ? -static_cast<uint64_t>(fen) : static_cast<uint64_t>(fen);
  const std::string cents = std::to_string(size % 100);
  return (fen < 0 ? "-" : "") + std::to_string(size / 100) + (cents.size() == 1 ? ".0" : ".") +
         cents;
}

}  // namespace hongyan::proto
