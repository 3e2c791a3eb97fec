#pragma once

#include <string>

namespace hongyan::bench {

// One line on standard error that is written over and over; only on a terminal. One thread.
class Progress {
 public:
  explicit Progress(bool wanted);
  ~Progress();

  // `done` between 0 and 1; below 0 = how long it takes is not known.
  void Show(const std::string& what, double done, const std::string& detail = {});
  // Clears the line, so that something else can be printed.
  void Clear();

 private:
  bool on_;
  bool dirty_ = false;
};

}  // namespace hongyan::bench
