#pragma once

namespace vectron {

// Reads the JSON number at `begin` straight into a float: the double nearest to its text, rounded
// to float, as a JSON reader by way of double would have it. False when there is none by JSON's
// grammar, it does not fit a float, or it is not followed by what may follow a number: a slower
// reader then finds out what is wrong.
//
// Some byte behind `begin` is no digit, and seven more are readable behind that. About 8 ns; a
// quotient or product of two exact numbers for the usual ones (Clinger 1990), std::from_chars for
// the others.
bool ReadPlainFloat(const char* begin, float& number);

}  // namespace vectron
