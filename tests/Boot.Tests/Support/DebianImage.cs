// The image "debian", installed once by the project's own builder. Tests that need it are skipped, with the builder's reason, where it
// cannot be had.
using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Boot.Support;

internal static class DebianImage
{
    internal const string Name = "debian";

    internal static async Task<Image> GetAsync()
    {
        try
        {
            return await ImageStore.OfUser().FindOrBuildAsync(Name, new Progress<ImageProgress>(), TestContext.Current.CancellationToken);
        }
        catch (ImageException e)
        {
            Assert.Skip($"the image {Name} cannot be had here: {e.Message}");
            throw;
        }
    }
}
