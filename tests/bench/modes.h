#pragma once

#include "options.h"
#include "outcome.h"
#include "stage.h"

namespace hongyan::bench {

// One function a mode: straight-line on the main thread, from making users to the outcome. What
// went wrong is in the outcome's failures.

Outcome RunSend(Stage& stage);
Outcome RunGroup(Stage& stage);
Outcome RunMix(Stage& stage);
Outcome RunIdle(Stage& stage);
Outcome RunReconnect(Stage& stage);
Outcome RunHeartbeat(Stage& stage);
Outcome RunReplay(Stage& stage);
Outcome RunRedpacket(Stage& stage);
Outcome RunEcho(const Options& options);  // needs no server

}  // namespace hongyan::bench
