// SPDX-License-Identifier: MIT
#pragma once
// weft::fs: the file system's names, in std::filesystem's words. Contents are file.hpp's.

#include "weft/io/fs_directory.hpp"
#include "weft/io/fs_status.hpp"
