--[[ darktable: a storage "deblur with allfocus" for exports. Copy to ~/.config/darktable/lua/allfocus.lua and add
     require "allfocus" to luarc. Export as TIFF or PNG with 16 bit, so that nothing is lost on the way. ]]

local dt = require "darktable"

local strength = dt.new_widget("slider") {
  label = "strength", soft_min = 0, soft_max = 1.4, hard_min = 0, hard_max = 1.4, value = 1,
}

-- one argument for the shell, whatever is in it
local function quoted(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function target_of(image, exported)
  local ending = exported:match("%.([^.]+)$")
  return image.path .. "/" .. image.filename:gsub("%.[^.]+$", "") .. ".sharp." .. ending
end

local function store(storage, image, format, exported, number, total, high_quality, extra)
  local target = target_of(image, exported)
  local command = string.format("allfocus deblur %s -o %s --strength %.2f", quoted(exported), quoted(target), strength.value)
  dt.print(string.format("allfocus: %d of %d", number, total))
  if dt.control.execute(command) == 0 then
    dt.database.import(target)
  else
    dt.print("allfocus could not deblur " .. image.filename)
  end
  os.remove(exported)
end

dt.register_storage("allfocus", "deblur with allfocus", store, nil, nil, nil, strength)
