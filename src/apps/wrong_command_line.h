#pragma once

// What the programs say about a command line that they do not take.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "base/nearest.h"

namespace vectron {

// Names of commands and options that a word could have been meant for. `command`: the one that was
// chosen, `app` itself when none was.
inline std::vector<std::string> NamesLike(const std::string& word, const CLI::App& app,
                                          const CLI::App& command) {
  std::vector<std::string> names;
  if (!word.starts_with('-')) {
    for (const CLI::App* each : app.get_subcommands({})) names.push_back(each->get_name());
    return names;
  }
  for (const CLI::App* taker : {&app, &command}) {
    for (const CLI::Option* option : taker->get_options()) {
      for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
  }
  return names;
}

// For CLI::App::failure_message: a line that begins with the program's name, says what is wrong,
// for a word that is not known what was probably meant, and where to read more.
inline std::string WrongCommandLine(const CLI::App* app, const CLI::Error& error) {
  const std::vector<CLI::App*> chosen = app->get_subcommands();
  const CLI::App& command = chosen.empty() ? *app : *chosen.front();
  const std::string help =
      fmt::format("`{}{} --help`", app->get_name(), chosen.empty() ? "" : " " + command.get_name());
  const std::vector<std::string> unknown = app->remaining(/*recurse=*/true);
  if (error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError) || unknown.empty()) {
    return fmt::format("{}: {} ({} says more)\n", app->get_name(), error.what(), help);
  }
  const std::string word = unknown.front().substr(0, unknown.front().find('='));
  const bool is_option = word.starts_with('-');
  if (!is_option && !chosen.empty()) {
    return fmt::format("{}: '{}' is one argument too many ({} says more)\n", app->get_name(), word,
                       help);
  }
  const std::string meant = NearestName(word, NamesLike(word, *app, command), /*most_edits=*/2);
  return fmt::format("{}: no {} '{}'; {}{} lists them\n", app->get_name(),
                     is_option ? "option" : "command", word,
                     meant.empty() ? "" : fmt::format("did you mean {}? ", meant), help);
}

}  // namespace vectron
