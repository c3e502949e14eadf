# Pieces of text that name the pieces they come after.
{ lib }:
rec {
  textClosureList =
    predefined: wanted:
    let
      visit =
        { done, result }:
        name:
        if done ? ${name} then
          { inherit done result; }
        else
          let
            piece = predefined.${name};
            before = builtins.foldl' visit {
              done = done // {
                ${name} = true;
              };
              inherit result;
            } piece.deps;
          in
          {
            inherit (before) done;
            result = before.result ++ [ piece.text ];
          };
    in
    (builtins.foldl' visit {
      done = { };
      result = [ ];
    } wanted).result;
  textClosureMap =
    f: predefined: names:
    lib.concatStringsSep "\n" (map f (textClosureList predefined names));

  noDepEntry = text: {
    inherit text;
    deps = [ ];
  };
  fullDepEntry = text: deps: { inherit text deps; };
  packEntry = deps: {
    inherit deps;
    text = "";
  };
  stringAfter = deps: text: { inherit text deps; };
}
