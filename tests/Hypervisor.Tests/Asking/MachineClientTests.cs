// What asks a machine's process, and another program in that one's place: it may be anybody who got into it.
using System.Net.Sockets;
using System.Text;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Contract;
using Xunit;

namespace Lamina.Tests.Hypervisor.Asking;

public sealed class MachineClientTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-client-").FullName;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task An_answer_that_has_no_end_is_refused_and_one_that_is_long_is_taken()
    {
        // Quotes, braces and a name stand around it.
        var longest = new string('x', ControlSpec.LongestAnswer - 100);

        Assert.Equal(longest.Length, (await AnswerAsync($"{{\"ok\":\"{longest}\"}}\n", hangsUp: false)).GetString()!.Length);
        // A piece of what is read may come on top.
        var refused = await Assert.ThrowsAsync<MachineException>(() => AnswerAsync(new string(' ', ControlSpec.LongestAnswer + (1 << 20)), hangsUp: true));
        Assert.Equal("the machine's process says more than any answer has", refused.Message);
    }

    [Theory]
    [InlineData("", "the machine has ended")]
    [InlineData("{\"ok\":", "the machine has ended")]
    [InlineData("nonsense\n", "the machine's process says what is no JSON")]
    [InlineData("{\"error\":\"x\",\"message\":\"no\"}\n", "no")]
    public async Task What_is_no_answer_ends_in_a_sentence(string said, string sentence) =>
        Assert.Equal(sentence, (await Assert.ThrowsAsync<MachineException>(() => AnswerAsync(said, hangsUp: true))).Message);

    private async Task<System.Text.Json.JsonElement> AnswerAsync(string said, bool hangsUp)
    {
        var path = Path.Combine(_folder, Path.GetRandomFileName());
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        var connecting = MachineClient.TryConnectAsync(path, Cancellation);
        using var served = await listener.AcceptAsync(Cancellation);
        await using var stream = new NetworkStream(served);
        await stream.WriteAsync(Encoding.UTF8.GetBytes($"{{\"protocol\":{ControlSpec.Version}}}\n"), Cancellation);
        await using var client = (await connecting)!;
        var asked = client.AskAsync("status", null, Cancellation);
        var answer = WriteAsync();
        try
        {
            return await asked;
        }
        finally
        {
            // Whoever does not read on holds the answer up.
            await client.DisposeAsync();
            await answer;
        }

        async Task WriteAsync()
        {
            try
            {
                await stream.WriteAsync(Encoding.UTF8.GetBytes(said), Cancellation);
                if (hangsUp) served.Shutdown(SocketShutdown.Send);
            }
            catch (IOException)
            {
                // The client has gone.
            }
        }
    }
}
