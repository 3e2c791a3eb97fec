#pragma once

// doctest for our tests; include it LAST. The house's CHECK aborts, doctest's reports: headers of
// the house that use CHECK in inline functions must be read before doctest takes the name over.
#include "base/check.h"
#undef CHECK
#include <doctest/doctest.h>  // IWYU pragma: export
