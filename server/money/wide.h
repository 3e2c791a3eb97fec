#pragma once

namespace hongyan::money {

// For products of two amounts, which 64 bits do not hold.
__extension__ typedef __int128 Wide;
__extension__ typedef unsigned __int128 UnsignedWide;

}  // namespace hongyan::money
