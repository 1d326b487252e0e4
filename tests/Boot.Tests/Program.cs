// Guests are run one after another: each of them wants a core of its own, and times are part of what is tested.
using Xunit;

[assembly: CollectionBehavior(DisableTestParallelization = true)]
