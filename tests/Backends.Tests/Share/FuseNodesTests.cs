// What a guest knows by number, where the tree that it knows is not the one that there is.
using Lamina.Backends.Share;
using Xunit;

namespace Lamina.Tests.Backends.Share;

public class FuseNodesTests
{
    [Fact]
    public void A_place_that_seems_to_lie_in_itself_has_no_path()
    {
        var nodes = new FuseNodes();
        var root = nodes.Find(FuseSpec.RootNode)!;
        var above = nodes.Tell(root, "above", (1, 1));
        var below = nodes.Tell(above, "below", (1, 2));
        Assert.Equal("above/below"u8.ToArray(), FuseNodes.PathOf(below));

        // Somebody else moved "below" out of "above" after the guest had looked, and before "above" went into it.
        nodes.Renamed((root, "above"), (below, "above"), exchanged: false);

        Assert.Null(FuseNodes.PathOf(above));
        Assert.Null(FuseNodes.PathOf(below));
        Assert.Equal("other"u8.ToArray(), FuseNodes.PathOf(nodes.Tell(root, "other", (1, 3))));
    }
}
