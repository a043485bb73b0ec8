#pragma once

// Typing errors: which name was meant.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vectron {

// The known name that takes the fewest edits to get to from `name`; "" when all are farther than
// `most_edits`, so that none is likely to be meant.
std::string NearestName(std::string_view name, const std::vector<std::string>& known,
                        size_t most_edits = 4);

}  // namespace vectron
