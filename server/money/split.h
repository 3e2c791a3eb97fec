#pragma once

#include <array>
#include <cstdint>

#include "model/ids.h"

namespace hongyan::money {

using SplitSecret = std::array<uint8_t, 32>;

// How much the next share of a packet is, version 1: with R fen and n shares
// left, at most C fen a share and ordinal k from 1, HMAC-SHA-256 of (packet, k) under the store's
// secret gives two numbers; they draw uniformly around the mean of what is left, from the side that
// is nearer. The mean of every position is exactly total/n, every share is in 1..C, the last takes
// the rest; so the amounts are fixed when the packet is made, and whoever holds the secret can
// derive them again. Any thread.
//
// REQUIRES n >= 1 and n <= R <= n * C (checked when the packet is made, kept by every draw).
int64_t DrawShare(int64_t left_fen, int32_t left, int64_t cap_fen, model::PacketId packet,
                  int32_t ordinal, const SplitSecret& secret);

// The same with the two numbers given: what the exact tables of the tests enumerate.
int64_t DrawShareFrom(int64_t left_fen, int32_t left, int64_t cap_fen, uint64_t u0, uint64_t u1);

}  // namespace hongyan::money
