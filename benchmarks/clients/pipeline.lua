-- wrk: sixteen requests at a time on each connection.
init = function(args)
  wrk.init(args)
  local requests = {}
  for i = 1, 16 do requests[i] = wrk.format(nil, "/") end
  pipelined = table.concat(requests)
end
request = function() return pipelined end
