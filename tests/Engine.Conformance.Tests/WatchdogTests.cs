// What ends a case that does not end by itself.
using Lamina.Tests.Engine.Conformance.Cases;
using Lamina.Tests.Engine.Conformance.Guest;
using Lamina.Tests.Engine.Conformance.Oracle;
using Xunit;

namespace Lamina.Tests.Engine.Conformance;

public sealed class WatchdogTests
{
    [Theory]
    [InlineData("ebfe")] // jmp $
    [InlineData("f4ebfd")] // hlt; jmp back to it
    public void A_guest_that_never_ends_is_stopped_and_the_next_case_runs(string code)
    {
        using var runner = new CaseRunner(GuestProfile.All.First(profile => profile.Mode == GuestMode.Supervisor));
        var test = runner.Next();
        var result = new CaseResult(test.Xsave.Length);

        Run(Convert.FromHexString(code));

        Assert.Equal(CaseResult.NoVector, result.Vector);
        Run([0x90]);
        Assert.Equal(3, result.Vector);

        void Run(byte[] code)
        {
            test.Reset(CodeMode.Long, 1);
            test.Rflags = TestCase.FlagsBase;
            test.SetCode(CaseLayout.CodeInImage, code);
            runner.Guest.Run(test, result);
        }
    }
}
