/* main - hand the command line over to cli/ */
int main(void)
{
    return 0;
}
