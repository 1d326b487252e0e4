// Tests that take so much of the process's addresses that nothing else fits beside them.
using Xunit;

namespace Lamina.Tests.Engine.Shared;

[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class Alone
{
    public const string Name = "alone";
}
