#pragma once

// Typing errors: which name was meant.

#include <string>
#include <string_view>
#include <vector>

namespace vectron {

// The known name that takes the fewest edits to get to from `name`; "" when all are so far off that
// none is likely to be meant.
std::string NearestName(std::string_view name, const std::vector<std::string>& known);

}  // namespace vectron
