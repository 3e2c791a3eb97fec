#pragma once

#include <functional>
#include <string>

#include "beat.h"
#include "options.h"
#include "outcome.h"
#include "progress.h"

namespace hongyan::bench {

// Payloads of a request and its answer.
struct FrameSizes {
  size_t request_bytes = 0;
  size_t reply_bytes = 0;
};

// Runs the beat on the load thread: warm-up, window, stop. `server` answers what the server has
// used up to now. Main thread.
void MeasureBeat(Runtime& runtime, Tally& tally, Beat& beat, Progress& progress,
                 const std::string& what, double warmup_s, double seconds,
                 const std::function<Usage()>& server, Outcome& outcome);

// The same beat against an echo server with frames of these sizes and options.connections links: as
// a mode of its own, and as the yardstick of others. Main thread.
void MeasureEcho(Runtime& runtime, Tally& tally, Progress& progress, const Options& options,
                 const FrameSizes& sizes, Outcome& outcome);

// Loops of the echo server.
int EchoThreads(const Options& options);

// Adds the yardstick to an outcome.
void CompareWithEcho(const Options& options, const FrameSizes& sizes, Outcome& echo,
                     Outcome& outcome);

}  // namespace hongyan::bench
