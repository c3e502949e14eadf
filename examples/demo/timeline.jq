# The results of a run -> a line for each node along the time: a letter for what it
# does, a dot where it waits for others.
def at: (.[0:19] + "Z" | fromdate) + ("0" + (.[19:] | rtrimstr("Z")) | tonumber? // 0);

def letters: {
  evaluate: "e", connect: "c", inspect: "i", build: "b", cache: "s", push: "p",
  keys: "k", upload: "u", activate: "a", reboot: "r", await: "w"
};

60 as $width
| (.begin | at) as $begin
| .seconds as $seconds
| (.results[]
  | . as $node
  | [range($width)
    | ($begin + (. + 0.5) * $seconds / $width) as $now
    | first(
        $node.steps[]
        | (.begin | at) as $from
        | select($from <= $now and $now < $from + (.waited // 0) + .seconds)
        | if $now < $from + (.waited // 0) then "." else letters[.step] // "?" end
      ) // " "
    ]
  | "   \($node.node)  \(join(""))  \($node.status)"
  ),
  "   e evaluate  c connect  i inspect  b build  p push  k keys  u upload  a activate   \($seconds * 10 | round / 10) s"
