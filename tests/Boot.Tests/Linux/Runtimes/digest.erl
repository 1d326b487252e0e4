#!/usr/bin/env escript
%% The same in Erlang, on processes that send one another what they found.
%%! +S 2
-mode(compile).

sum(0, State, Sum) -> {State, Sum};
sum(N, State, Sum) ->
    Next = (State * 1664525 + 1013904223) band 16#ffffffff,
    sum(N - 1, Next, ((Sum bxor (Next bsr 24)) * 16777619) band 16#ffffffff).

part(Seed) ->
    {State, Sum} = sum(1000000, Seed, 16#811c9dc5),
    Fraction = lists:foldl(fun(I, F) -> F + math:sqrt(I) / (I + 0.5) end, 0.0, lists:seq(1, 200000)),
    {_, Table} = lists:foldl(fun(I, {S, T}) ->
        Next = (S * 1664525 + 1013904223) band 16#ffffffff,
        {Next, maps:update_with(Next bsr 14, fun(L) -> [I | L] end, [I], T)}
    end, {State, #{}}, lists:seq(1, 50000)),
    Text = term_to_binary(lists:sort(maps:to_list(Table))),
    {Seed, Sum, Fraction, binary:encode_hex(crypto:hash(sha256, Text))}.

main(_) ->
    Me = self(),
    [spawn_link(fun() -> Me ! part(Seed) end) || Seed <- lists:seq(1, 8)],
    io:format("~w~n", [erlang:phash2(lists:sort([receive Found -> Found end || _ <- lists:seq(1, 8)]))]).
